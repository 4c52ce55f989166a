#!/bin/sh
# Everything that reads the sources without running them: the checks of the tree, format, clang-tidy, shellcheck, ruff.
# Runs all of them, then fails if any found something.
#   scripts/lint.sh [FILE.c ...]     clang-tidy on these files only (default: all)
set -u
cd "$(dirname "$0")/.." || exit 1

scripts/setup.sh --dev || exit 1
failed=
say() { printf 'lint: %s\n' "$*"; }
step() { # NAME COMMAND...
    name=$1
    shift
    started=$(date +%s)
    if "$@"; then
        say "$name: clean ($(($(date +%s) - started)) s)"
    else
        say "$name: FOUND SOMETHING"
        failed="$failed $name"
    fi
}

checks() {
    good=0
    for check in checks/*.py; do
        case $check in
        */symbols.py) [ -d build/release ] || continue ;; # needs a build; ctest runs it in every one
        esac
        python3 "$check" || good=1
    done
    return $good
}

tidy() {
    mkdir -p build/dev
    cmake --preset dev >build/dev/tidy.log 2>&1 || { tail -n 30 build/dev/tidy.log; return 1; }
    if [ $# -eq 0 ]; then
        # shellcheck disable=SC2046
        set -- $(find src cli python -name '*.c' | sort)
    fi
    # One file a process; a file that does not compile fails here too.
    printf '%s\n' "$@" | xargs -P "${HT_JOBS:-$(nproc)}" -n 1 scripts/tidy-one.sh
}

shells() {
    # shellcheck disable=SC2046
    shellcheck -x demo check .ci/run $(find scripts bench tests -name '*.sh' | sort)
}

python_files() { find checks bench tests scripts src python -name '*.py' | grep -q .; }
ruff_path() {
    for ruff in ruff .venv/bin/ruff; do
        if command -v "$ruff" >/dev/null 2>&1; then echo "$ruff"; return; fi
    done
    { [ -x .venv/bin/python ] || python3 -m venv .venv; } >/dev/null 2>&1 &&
        .venv/bin/python -m pip install -q --disable-pip-version-check --retries 1 ruff==0.14.0 >/dev/null 2>&1 &&
        echo .venv/bin/ruff
}

step checks checks
step format scripts/format.sh --check
step clang-tidy tidy "$@"
step shellcheck shells
if python_files; then
    if ruff=$(ruff_path); then
        step ruff "$ruff" check --quiet .
        step ruff-format "$ruff" format --check --quiet python tests/python checks scripts examples
    else
        say "ruff: not here and not fetched (no network?): Python files were not linted"
    fi
fi
[ -z "$failed" ] || { say "failed:$failed"; exit 1; }
say "all clean"
