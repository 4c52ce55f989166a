#!/bin/sh
# Builds the benches, makes the peers' virtual environment (once; about 800 MB to fetch, torch most of it), runs both
# in turn. Arguments go to run.py: --only text,store,flow,lexical,maxsim,plaid,encode.
set -eu
cd "$(dirname "$0")/.."
say() { printf 'bench: %s\n' "$*" >&2; }

scripts/setup.sh
model=$(scripts/get-model.sh)
scripts/build.sh release benches

venv=build/bench-venv
stamp=$venv/.made
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$(cksum <bench/requirements.txt)" ]; then
    say "making $venv with the peers: this takes minutes, once"
    rm -rf "$venv"
    python3 -m venv "$venv"
    pip="$venv/bin/python -m pip --disable-pip-version-check"
    # torch alone: what it requires is 5 GB of CUDA libraries that no CPU path touches.
    $pip install -q --no-cache-dir --no-deps torch==2.15.0
    # What is left out is said, by design: see torch_cpu.py.
    $pip install -q --no-cache-dir -r bench/requirements.txt 2>&1 |
        grep -v 'torch 2.15.0 requires\|dependency resolver' >&2 || true
    "$venv/bin/python" bench/peers/torch_cpu.py
    cksum <bench/requirements.txt >"$stamp"
fi
exec "$venv/bin/python" bench/run.py --build build/release --model "$model" --work build/bench-work "$@"
