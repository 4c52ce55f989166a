#!/bin/sh
# clang-tidy on one file of build/dev's compile_commands.json, without its chatter. Used by lint.sh.
set -u
noise=$(mktemp)
trap 'rm -f "$noise"' EXIT
clang-tidy --quiet -p build/dev "$1" 2>"$noise" && exit 0
grep -vE 'warnings? (and [0-9]+ errors? )?(generated|treated)|^Suppressed|^Use -header|^Error while processing' "$noise"
exit 1
