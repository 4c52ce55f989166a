#!/bin/sh
# The Python tests with the library and its extension under AddressSanitizer and UndefinedBehaviorSanitizer.
#   scripts/python-asan.sh [ARGUMENTS OF PYTEST]     default: tests/python without the tests of other systems' workers
#
# How far it goes: every object on the heap is watched, Python's own too (PYTHONMALLOC=malloc), and undefined behaviour
# everywhere. Objects on the stack are not: greenlet moves pieces of the stack, which ASan's stack redzones forbid; the
# C tests watch those. Leaks are for tests/python/test_leaks.py: the interpreter keeps memory of its own at its end.
# Tests whose library is preloaded elsewhere (Ray, Daft, Dask workers, a wheel's import time) run without.
set -eu
cd "$(dirname "$0")/.."
scripts/setup.sh --check
scripts/python-env.sh >/dev/null
build=build/asan-python
mkdir -p "$build"
cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_C_FLAGS_DEBUG=-O1 --param=asan-stack=0" \
    -DHT_SANITIZE=address,undefined -DHT_PYTHON=REQUIRED -DHT_CLI=ON -DBUILD_TESTING=OFF >"$build/cmake.log" ||
    { tail -n 30 "$build/cmake.log" >&2; exit 1; }
ninja -C "$build" ${HT_JOBS:+-j "$HT_JOBS"} ht_python hound >"$build/build.log" ||
    { tail -n 60 "$build/build.log" >&2; exit 1; }
[ $# -gt 0 ] || set -- tests/python
preload=$(cc -print-file-name=libasan.so):$(cc -print-file-name=libubsan.so)
export HOUND="$PWD/$build/hound" HOUND_PYTHON="$PWD/.venv-python/bin/python"
export ASAN_OPTIONS="detect_leaks=0:detect_stack_use_after_return=0:handle_segv=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
LD_PRELOAD=$preload PYTHONMALLOC=malloc PYTHONPATH="$build/python" .venv-python/bin/python -m pytest -q "$@"
