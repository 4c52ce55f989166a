#!/bin/sh
# Formats every C file of ours in place, and Python files where lint.sh has fetched ruff; --check only tells which C
# files differ, and fails.
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
[ "$mode" != -i ] || [ ! -x .venv/bin/ruff ] || .venv/bin/ruff format -q python tests/python checks scripts
