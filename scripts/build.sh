#!/bin/sh
# Configures and builds one CMake preset, with ccache where it is installed.
#   scripts/build.sh PRESET [TARGET ...]
# On a terminal ninja shows its one moving line; elsewhere a line before and after, and the log of what failed.
# HT_JOBS=N limits the compilers at work; one a CPU otherwise.
# HT_CMAKE adds options of cmake, for example HT_CMAKE="-DHT_ROOMS=base;os;codec -DHT_CLI=OFF" for a part of the house.
set -eu
cd "$(dirname "$0")/.."
preset=${1:?which preset: release, dev, asan, tsan or fuzz}
shift
dir=build/$preset
[ $# -gt 0 ] || set -- all
log=$dir/build.log

: "${HT_CMAKE:=}"

say() { printf 'build: %s\n' "$*" >&2; }
fail() {
    [ -t 2 ] || tail -n 60 "$log" >&2
    say "$preset: $1"
    exit 1
}

if command -v ccache >/dev/null 2>&1; then
    export CMAKE_C_COMPILER_LAUNCHER="${CMAKE_C_COMPILER_LAUNCHER-ccache}"
fi
mkdir -p "$dir"
# shellcheck disable=SC2086
if ! cmake --preset "$preset" $HT_CMAKE >"$log" 2>&1; then
    tail -n 60 "$log" >&2
    say "$preset: cmake failed; all it said is in $log"
    exit 1
fi
started=$(date +%s)
if [ -t 2 ]; then
    ninja -C "$dir" ${HT_JOBS:+-j "$HT_JOBS"} "$@" >&2 || fail "the build failed"
else
    say "$preset"
    ninja -C "$dir" ${HT_JOBS:+-j "$HT_JOBS"} "$@" >"$log" 2>&1 || fail "the build failed; all it said is in $log"
fi
took=$(($(date +%s) - started))
[ "$took" -lt 3 ] || say "$preset: built in $took s"
