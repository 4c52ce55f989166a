#!/usr/bin/env python3
"""Holds the share of Python in what is shipped: Houndstooth is a library in C with a thin Python front end.

    languages.py [--root DIR]       count the tree
    languages.py --self-test        prove on made-up trees that the limit can be passed

Counted are lines that are not blank, comments among them, of .c, .h and .py files; .pyi files only declare and are
not counted, generated tables neither. Tests, benches, checks and scripts are not shipped.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile

MAX_PYTHON = 0.20
C_FOLDERS = ("include", "src", "cli", "server", "python/src")
PYTHON_FOLDERS = ("python/houndstooth",)
GENERATED = {"src/text/unicode_table.c"}


def count(root: pathlib.Path, folders: tuple[str, ...], endings: set[str]) -> int:
    """Lines that are not blank in the files under `folders` with one of `endings`."""
    total = 0
    for folder in folders:
        for file in (root / folder).rglob("*"):
            if file.suffix in endings and file.is_file() and str(file.relative_to(root)) not in GENERATED:
                total += sum(bool(line.strip()) for line in file.read_text(encoding="utf-8").splitlines())
    return total


def check(root: pathlib.Path) -> tuple[list[str], str]:
    n_c, n_python = count(root, C_FOLDERS, {".c", ".h"}), count(root, PYTHON_FOLDERS, {".py"})
    if n_c == 0:
        return ["no C found: is --root right?"], ""
    share = n_python / (n_c + n_python)
    said = f"languages: {n_c} lines of C, {n_python} of Python: {share:.1%} of what is shipped"
    if share > MAX_PYTHON:
        return [f"{said}; at most {MAX_PYTHON:.0%}: what is no sugar belongs into the library"], ""
    return [], said


# Lines of C, of Python, of a stub, of a test; whether that is too much Python.
CASES = [
    (80, 20, 0, 0, False),
    (79, 21, 0, 0, True),
    (80, 20, 99, 99, False),
    (80, 0, 0, 0, False),
]


def self_test() -> list[str]:
    """What is wrong with this check itself."""
    wrong = []
    for n_c, n_python, n_stub, n_test, too_much in CASES:
        with tempfile.TemporaryDirectory() as temp:
            root = pathlib.Path(temp)
            files = {
                "python/src/a.c": n_c // 2,
                "src/base/b.c": n_c - n_c // 2,
                "python/houndstooth/deep/a.py": n_python,
                "python/houndstooth/a.pyi": n_stub,
                "tests/python/test_a.py": n_test,
                "src/text/unicode_table.c": 1000,
            }
            for name, n_lines in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text("line\n\n   \n" * n_lines)
            if bool(check(root)[0]) != too_much:
                wrong.append(f"{n_c} of C and {n_python} of Python: wanted too_much={too_much}, got {check(root)}")
    if not check(pathlib.Path("/nonexistent"))[0]:
        wrong.append("content with a tree without C")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.self_test:
        complaints, said = self_test(), f"languages: {len(CASES)} made-up trees judged rightly"
    else:
        complaints, said = check(args.root)
    print("\n".join(complaints) if complaints else said)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
