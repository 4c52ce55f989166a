#!/bin/sh
# Makes or updates .venv-python, where the Python tests run: the versions of python/requirements-test.txt, exactly.
# Prints the path of its interpreter. Instant while neither that file nor the interpreter below it has changed.
#   scripts/python-env.sh [--base]     --base: only print the interpreter that it would be made with
# PYTHON=/path/to/python picks the interpreter; else the first of python3.11, python3.12, python3.13, python3 that is
# CPython 3.11 or newer with its headers and venv.
set -eu
cd "$(dirname "$0")/.."
env=.venv-python
list=python/requirements-test.txt

say() { printf 'python-env: %s\n' "$*" >&2; }

suits() { # INTERPRETER: can an extension be built for it, and an environment made of it?
    "$1" - 2>/dev/null <<'END'
import ensurepip, os, sys, sysconfig, venv
header = os.path.join(sysconfig.get_path("include"), "Python.h")
sys.exit(not (sys.implementation.name == "cpython" and sys.version_info >= (3, 11) and "t" not in sys.abiflags
              and os.path.exists(header)))
END
}

base=
for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
    if suits "$candidate"; then
        base=$("$candidate" -c 'import sys; print(sys.executable)')
        break
    fi
done
if [ -z "$base" ]; then
    say "no CPython 3.11 or newer with headers and venv among: ${PYTHON:-python3.11 python3.12 python3.13 python3}"
    say "scripts/setup.sh --check installs Debian's (python3-dev, python3-venv)"
    exit 1
fi
if [ "${1-}" = --base ]; then
    printf '%s\n' "$base"
    exit 0
fi

stamp="$("$base" -c 'import sys; print(sys.executable, sys.version)') $(cksum <"$list")"
python=$PWD/$env/bin/python
if [ -x "$python" ] && [ "$(cat "$env/.stamp" 2>/dev/null)" = "$stamp" ]; then
    printf '%s\n' "$python"
    exit 0
fi

# An environment of another interpreter is made anew; one of the same is brought up to date.
case $(cat "$env/.stamp" 2>/dev/null) in
"${stamp% * *}"*) ;;
*) rm -rf "$env" ;;
esac
say "installing $(grep -c '==' "$list") packages of $list into $env"
started=$(date +%s)
rm -f "$env/.stamp"
[ -x "$python" ] || "$base" -m venv "$env" >&2
"$python" -m pip install -q --disable-pip-version-check --retries 3 --only-binary :all: -r "$list" >&2 || {
    say "pip failed; its words are above. It needs a package index (a proxy goes into https_proxy, a mirror into"
    say "PIP_INDEX_URL); what was fetched is kept in pip's cache, so that a second run goes on from there"
    exit 1
}
printf '%s\n' "$stamp" >"$env/.stamp"
say "done in $(($(date +%s) - started)) s"
printf '%s\n' "$python"
