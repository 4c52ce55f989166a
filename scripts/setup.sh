#!/bin/sh
# Installs the system packages that Houndstooth needs and that are missing; instant when all are there.
#   scripts/setup.sh [--check | --dev]
# Without an option: what building, `hound` and the model download need. --check adds what ./check needs;
# --dev adds the tools of scripts/lint.sh and scripts/fuzz.sh.
set -eu

build="gcc libc6-dev make cmake ninja-build pkg-config libutf8proc-dev libjansson-dev libyaml-dev
  libsqlite3-dev libzstd-dev zlib1g-dev libxxhash-dev libcurl4-openssl-dev ca-certificates
  python3 python3-venv"
check="libcmocka-dev g++ binutils python3-dev"
dev="clang clang-format clang-tidy libclang-rt-14-dev shellcheck valgrind git"

case "${1-}" in
'') wanted=$build ;;
--check) wanted="$build $check" ;;
--dev) wanted="$build $check $dev" ;;
*)
    sed -n 's/^# \{0,1\}//; 2,5p' "$0" >&2
    exit 2
    ;;
esac

say() { printf 'setup: %s\n' "$*" >&2; }

# Elsewhere than on Debian's family: content when the tools and libraries are found, else the list to install.
other_system() {
    lacking=
    for tool in cc cmake ninja pkg-config python3; do
        command -v "$tool" >/dev/null 2>&1 || lacking="$lacking $tool"
    done
    if command -v pkg-config >/dev/null 2>&1; then
        for library in jansson libzstd zlib sqlite3 libutf8proc yaml-0.1 libxxhash libcurl; do
            pkg-config --exists "$library" || lacking="$lacking $library"
        done
    fi
    [ -n "$lacking" ] || return 0
    say "this is not a Debian or Ubuntu system, so nothing was installed. Missing here:$lacking"
    say "Install with your package manager: a C11 compiler (gcc 12 or newer), cmake 3.25, ninja, pkg-config, Python 3.9"
    say "with venv, and the libraries with headers: utf8proc, jansson, libyaml, SQLite 3.40, zstd,"
    say "zlib, xxhash, libcurl; for ./check also cmocka 1.1.5 and the headers of Python 3.11. Debian calls them:"
    # shellcheck disable=SC2086
    say " " $wanted
    return 1
}

if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
    other_system
    exit
fi

# The words of $wanted whose package is not fully installed.
missing_packages() {
    # shellcheck disable=SC2086
    have=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' $wanted 2>/dev/null | sed -n 's/^ii *//p')
    for package in $wanted; do
        printf '%s\n' "$have" | grep -qxF "$package" || printf '%s ' "$package"
    done
}

missing=$(missing_packages)
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        say "packages are missing, and there is neither root nor sudo. Let an administrator run:"
        say "  apt-get update && apt-get install --no-install-recommends $missing"
        exit 1
    fi
    as_root=sudo
fi

# shellcheck disable=SC2086
say "installing" $missing
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM
# shellcheck disable=SC2086
if ! { $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        -o Dpkg::Use-Pty=0 $missing; } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    say "apt-get failed; its last lines are above. Mend that (network, /etc/apt/sources.list) and run this again,"
    say "or install by hand: $missing"
    exit 1
fi
left=$(missing_packages)
[ -z "$left" ] || { say "apt-get said yes, but these are still missing: $left"; exit 1; }
say "done"
