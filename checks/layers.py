#!/usr/bin/env python3
"""Reads every #include of the tree against the table of rooms and names each that opens a door it may not.

    layers.py [--root DIR]      check the tree
    layers.py --self-test       prove on a made-up tree that each rule can fail

Rules
- a room opens its own files, and other rooms only by their door "<room>/<room>.h", as ROOMS allows;
- nobody includes a .c file of another folder, and no path climbs with "..";
- front ends and examples see <houndstooth/...> and the system alone;
- tests, fuzz targets and benches may open any door, and tests/unit/<room> and fuzz targets also the inside of a room.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import sys
import tempfile

# Room -> the rooms whose door it may open, as docs and CMakeLists.txt order them. codec reads files
# through os: docs/decisions/0004-codec-reads-files.md.
ROOMS: dict[str, set[str]] = {
    "base": set(),
    "os": {"base"},
    "codec": {"base", "os"},
    "db": {"base", "os"},
    "net": {"base", "os", "codec"},
    "kernel": {"base", "os"},
    "text": {"base", "os", "codec"},
    "trace": {"base", "os", "codec"},
    "cache": {"base", "os", "codec", "db"},
    "engine": {"base", "os", "codec"},
    "flow": {"base", "os", "codec", "trace", "cache", "engine"},
    "frame": {"base", "codec", "flow"},
    "store": {"base", "os", "codec", "db"},
    "model": {"base", "os", "codec", "text"},
    "encoder": {"base", "os", "codec", "kernel", "text", "model"},
    "plaid": {"base", "os", "codec", "kernel", "store"},
    "lexical": {"base", "os", "codec", "kernel", "text", "store"},
    "eval": {"base", "os", "codec"},
}
ROOMS["retrieval"] = set(ROOMS)
ROOMS["service"] = set(ROOMS)

FRONT_ENDS = ("cli", "server", "python", "examples")
OPEN_HOUSE = ("tests", "fuzz", "bench")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def room_of(path: pathlib.PurePath) -> str | None:
    """The room whose inside a file may use: its own; of a unit test the one it tests."""
    parts = path.parts
    if parts[0] == "src" and len(parts) > 2:
        return parts[1]
    if parts[:2] == ("tests", "unit") and len(parts) > 3:
        return parts[2]
    return None


def judge(root: pathlib.Path, path: pathlib.PurePath, quoted: bool, target: str) -> str | None:
    """The reason why `path` may not include `target`; None if it may."""
    top = path.parts[0]
    if ".." in pathlib.PurePath(target).parts:
        return "climbs with '..'; name the door from src/"
    if not quoted:
        return None  # the system, or the public headers, which everybody may see
    beside = root / path.parent / target
    if beside.is_file() and "/" not in target:
        return None  # its own folder
    if top == "examples" and (root / top / target).is_file():
        return None  # what all examples share
    if top in FRONT_ENDS:
        return f'a front end may include only <houndstooth/...>, the system and its own folder, not "{target}"'
    if top == "include":
        return "a public header may include only its neighbours and the system"
    pieces = target.split("/")
    if len(pieces) == 1:
        # tests/support is on the include path of tests, a system header in quotes is a slip
        if top in OPEN_HOUSE and (root / "tests" / "support" / target).is_file():
            return None
        return "is not in its folder; name a room's door, or use <> for the system"
    if target.endswith(".c") and not (top == "src" and pieces[0] == room_of(path)):
        return "is the code of another file"
    room, mine = pieces[0], room_of(path)
    if not (root / "src" / room).is_dir():
        return f"src/{room} is not a room"
    if room == mine:
        return None
    is_door = target == f"{room}/{room}.h"
    if top in OPEN_HOUSE:
        return None if is_door or top == "fuzz" else f"the inside of {room}; open its door {room}/{room}.h"
    if room not in ROOMS:
        return f"room {room} is not in the table of checks/layers.py"
    if mine not in ROOMS:
        return f"room {mine} is not in the table of checks/layers.py"
    if room not in ROOMS[mine]:
        return f"{mine} may not open {room}"
    return None if is_door else f"the inside of {room}; its door is {room}/{room}.h"


def check(root: pathlib.Path) -> tuple[list[str], int]:
    """All complaints about the tree under `root`, and the number of includes read."""
    complaints, n_read = [], 0
    for top in ("include", "src", *FRONT_ENDS, *OPEN_HOUSE):
        for file in sorted((root / top).rglob("*.[ch]")):
            path = file.relative_to(root)
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
                found = INCLUDE.match(line)
                if not found:
                    continue
                n_read += 1
                why = judge(root, path, found[1] == '"', found[2])
                if why:
                    complaints.append(f"{path}:{number}: {found[2]}: {why}")
    return complaints, n_read


GOOD = {
    "src/base/base.h": "",
    "src/base/map.h": "",
    "src/os/os.h": '#include "base/base.h"\n',
    "src/os/file.c": '#include "os.h"\n#include <stdio.h>\n#include <houndstooth/base.h>\n',
    "src/text/text.h": '#include "os/os.h"\n',
    "tests/support/tool.h": "",
    "tests/unit/base/test_map.c": '#include "base/map.h"\n#include "tool.h"\n#include "os/os.h"\n',
    "fuzz/fuzz_map.c": '#include "base/map.h"\n',
    "cli/hound.h": "",
    "python/src/convert.h": "",
    "python/src/module.c": '#include "convert.h"\n#include <Python.h>\n#include <houndstooth/base.h>\n',
    "cli/main.c": '#include "hound.h"\n#include <houndstooth/houndstooth.h>\n',
}
BAD = {
    "src/os/up.c": '#include "text/text.h"\n',  # a room above
    "src/os/inside.c": '#include "base/map.h"\n',  # past the door
    "src/os/climb.c": '#include "../base/base.h"\n',
    "src/os/code.c": '#include "base/map.c"\n',
    "src/os/lost.c": '#include "nowhere.h"\n',
    "src/os/noroom.c": '#include "attic/attic.h"\n',
    "cli/cheat.c": '#include "base/base.h"\n',
    "python/src/cheat.c": '#include "flow/flow.h"\n',
    "examples/cheat.c": '#include "os/os.h"\n',
    "include/houndstooth/cheat.h": '#include "os/os.h"\n',
    "tests/unit/os/test_cheat.c": '#include "base/map.h"\n',
    "bench/bench_cheat.c": '#include "base/map.h"\n',
}


def self_test() -> list[str]:
    """What is wrong with this check itself."""
    wrong = []
    with tempfile.TemporaryDirectory() as temp:
        root = pathlib.Path(temp)
        for name, text in GOOD.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        wrong += [f"complains without reason: {line}" for line in check(root)[0]]
        for name, text in BAD.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
            if len(check(root)[0]) != 1:
                wrong.append(f"does not see what is wrong with {name}: {text.strip()}")
            (root / name).unlink()
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.self_test:
        complaints, said = self_test(), f"layers: {len(BAD)} wrong includes seen, {len(GOOD)} right files left alone"
    else:
        complaints, n_read = check(args.root)
        said = f"layers: {n_read} includes, every one through an allowed door"
        if n_read == 0:
            complaints = ["no #include found: is --root right?"]
    print("\n".join(complaints) if complaints else said)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
