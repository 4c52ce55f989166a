#!/bin/sh
# Formats every C file of ours in place; --check only tells which files differ, and fails.
set -eu
cd "$(dirname "$0")/.."
if ! command -v clang-format >/dev/null 2>&1; then
    echo "format: clang-format is missing; scripts/setup.sh --dev installs it" >&2
    exit 1
fi
mode=-i
[ "${1-}" != --check ] || mode="--dry-run -Werror"
# shellcheck disable=SC2086
find include src cli python examples tests fuzz bench -name '*.[ch]' -not -name unicode_table.c | sort |
    xargs clang-format $mode --style=file
