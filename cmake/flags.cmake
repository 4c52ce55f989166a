# Compiler flags of every target of ours: the warning list of the house, determinism, sanitizers.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
set(HT_SANITIZE "" CACHE STRING "sanitizers, for example address,undefined or thread")
option(HT_WERROR "warnings are errors" OFF)

function(ht_flags target)
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  # -ffp-contract=off: the same sums on every machine; no -march=native, no -ffast-math anywhere.
  target_compile_options(${target} PRIVATE -ffp-contract=off -fno-math-errno -g
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla
    -Wformat=2 -Wcast-qual -Wdouble-promotion -Wwrite-strings $<$<BOOL:${HT_WERROR}>:-Werror>)
  if(HT_WHEEL)
    target_compile_options(${target} PRIVATE -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
  endif()
  if(HT_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${HT_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(${target} PRIVATE -fsanitize=${HT_SANITIZE})
  endif()
endfunction()
