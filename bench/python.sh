#!/bin/sh
# Builds the Python package, makes the virtual environment of its peers (once; about 570 MB) with the interpreter that
# the package is built for, and runs both in turn. Arguments go to pipelines/beside.py: --only, --quick, --json.
set -eu
cd "$(dirname "$0")/.."
say() { printf 'bench: %s\n' "$*" >&2; }

scripts/setup.sh
model=$(scripts/get-model.sh)
scripts/build.sh release

base=$(scripts/python-env.sh --base)
venv=build/bench-python-venv
stamp=$venv/.made
made="$("$base" -c 'import sys; print(sys.version)') $(cksum <bench/requirements-python.txt)"
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$made" ]; then
    say "making $venv with the peers: half a minute, once"
    rm -rf "$venv"
    "$base" -m venv "$venv"
    "$venv/bin/python" -m pip install -q --disable-pip-version-check -r bench/requirements-python.txt
    printf '%s\n' "$made" >"$stamp"
fi
PYTHONPATH=$PWD/build/release/python exec "$venv/bin/python" bench/pipelines/beside.py --model "$model" "$@"
