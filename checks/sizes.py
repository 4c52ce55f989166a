#!/usr/bin/env python3
"""Holds the tree to its sizes: files of at most 900 lines, functions of at most 80, lines of at most 120 columns,
and no file name twice, so that a name in a message or a talk means one file.

    sizes.py [--root DIR]       check the tree
    sizes.py --self-test        prove on a made-up tree that each rule can fail
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile
from collections.abc import Iterator

MAX_FILE, MAX_FUNCTION, MAX_COLUMNS = 900, 80, 120
FOLDERS = ("include", "src", "cli", "server", "examples", "tests", "fuzz", "bench", "checks", "scripts", "python")
ENDINGS = {".c", ".h", ".py", ".sh"}

# What ends the search upwards for the first line of a function's head.
NOT_A_HEAD = ("}", "#", " *", "/*", "//")
# Functions that may be longer, with the reason.
LONG_FUNCTIONS: dict[str, str] = {}
# Generated tables: their program is what people read.
GENERATED = {"src/text/unicode_table.c"}


def sources(root: pathlib.Path) -> Iterator[pathlib.PurePath]:
    for folder in FOLDERS:
        for file in sorted((root / folder).rglob("*")):
            if file.suffix in ENDINGS and file.is_file() and "__pycache__" not in file.parts:
                yield file.relative_to(root)


def functions(lines: list[str]) -> Iterator[tuple[str, int, int]]:
    """Name, first line (from 1) and length of each function whose braces stand alone at the left margin."""
    start = None
    for at, line in enumerate(lines):
        if line == "{":
            start = at
            while start > 0 and lines[start - 1].strip() and not lines[start - 1].startswith(NOT_A_HEAD):
                start -= 1
        elif line == "}" and start is not None:
            head = " ".join(lines[start : at + 1]).split("(")[0]
            yield head.split()[-1].lstrip("*") if head.split() else "?", start + 1, at + 1 - start
            start = None


def check_file(path: pathlib.PurePath, text: str) -> Iterator[str]:
    lines = text.splitlines()
    if len(lines) > MAX_FILE:
        yield f"{path}: {len(lines)} lines; at most {MAX_FILE}: part it by subject"
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS:
            yield f"{path}:{number}: {len(line)} columns; at most {MAX_COLUMNS}"
        if line != line.rstrip() or "\t" in line:
            yield f"{path}:{number}: a tab, or blanks at the end"
    if path.suffix in (".c", ".h"):
        for name, start, length in functions(lines):
            if length > MAX_FUNCTION and name not in LONG_FUNCTIONS:
                yield f"{path}:{start}: function {name} has {length} lines; at most {MAX_FUNCTION}"


def twins(paths: list[pathlib.PurePath]) -> Iterator[str]:
    """File names used twice. A room's door may share the name of the room's public header."""
    seen: dict[str, pathlib.PurePath] = {}
    for path in paths:
        other = seen.setdefault(path.name, path)
        if other is path:
            continue
        door, public = (path, other) if path.parts[0] == "src" else (other, path)
        if public.parts[:2] == ("include", "houndstooth") and door.parts == ("src", door.stem, door.name):
            continue
        # ctest and shells know a script by its folder; C files and headers must be told apart by name.
        if path.suffix in (".c", ".h"):
            yield f"{path}: has the name of {other}"


def check(root: pathlib.Path) -> tuple[list[str], int]:
    paths = list(sources(root))
    complaints = list(twins(paths))
    for path in paths:
        if str(path) not in GENERATED:
            complaints += check_file(path, (root / path).read_text(encoding="utf-8"))
    return complaints, len(paths)


GOOD = {
    "include/houndstooth/eval.h": "/* public */\n",
    "src/eval/eval.h": "/* door */\n",
    "src/eval/run.c": "int f(void)\n{\n" + "    f();\n" * 77 + "}\n\nint g(void) { return 1; }\n",
    "src/eval/wide.c": "/*" + "x" * 116 + "*/\n" * 1,
}
BAD = {
    "src/eval/tall.c": "\n" * 901,
    "src/eval/wide2.c": "/*" + "x" * 117 + "*/\n",
    "src/eval/long.c": "static int\nf(void)\n{\n" + "    f();\n" * 77 + "}\n",
    "src/eval/tab.c": "int\tx;\n",
    "src/eval/blank.c": "int x; \n",
    "tests/run.c": "/* twin */\n",
    "scripts/wide.py": "#" * 121 + "\n",
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
                wrong.append(f"does not see exactly what is wrong with {name}: {check(root)[0]}")
            (root / name).unlink()
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.self_test:
        complaints, said = self_test(), f"sizes: {len(BAD)} wrong files seen, {len(GOOD)} right files left alone"
    else:
        complaints, n_files = check(args.root)
        said = f"sizes: {n_files} files within their limits, no name twice"
        if n_files == 0:
            complaints = ["no file found: is --root right?"]
    print("\n".join(complaints) if complaints else said)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
