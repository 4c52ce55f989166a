#!/usr/bin/env python3
"""Holds the public headers to their word, and pages to the code that they quote.

    docs.py [--root DIR] [--cc CC] [--cxx CXX]      check include/houndstooth/*.h and docs/*.md
    docs.py --self-test                             prove on made-up headers and pages that each rule can fail

Rules
- every HT_API declaration has a comment: above it, behind it, or above the group (lines without a blank line
  between) that it stands in;
- every header opens with a comment that names it, and compiles alone as C11 and as C++17 without a warning;
- a page with a line `<!-- code: FOLDER -->` quotes that folder: each of its ```c and ```yaml blocks stands there in one
  file, line by line, but for indentation.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]


def undocumented(text: str) -> list[tuple[int, str]]:
    """Line and text of each HT_API declaration in a group that no comment opens."""
    bare, commented = [], False
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("/* ---"):
            commented = False  # a blank line ends a group; a headline is not a comment on what follows
        elif "/*" in line or line.startswith(" *"):
            commented = True
        if line.startswith("HT_API") and not commented:
            bare.append((number, line.split("(")[0].strip()))
    return bare


def compile_alone(header: pathlib.Path, include: pathlib.Path, compiler: list[str]) -> str:
    """The compiler's first complaint about a file that includes only this header; "" if none."""
    source = f"#include <{header.relative_to(include)}>\nint ht_check_alone;\n"
    done = subprocess.run([*compiler, *WARNINGS, f"-I{include}", "-"], input=source, capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    return next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip() or "it failed")


def check(include: pathlib.Path, cc: str, cxx: str) -> tuple[list[str], int]:
    headers = sorted(include.rglob("*.h"))
    complaints, n_declared = [], 0
    for header in headers:
        text = header.read_text(encoding="utf-8")
        shown = header.relative_to(include.parent)
        n_declared += sum(line.startswith("HT_API") for line in text.splitlines())
        complaints += [f"{shown}:{number}: no comment: {what}" for number, what in undocumented(text)]
        if not re.match(rf"/\*\s*\*?\s*(houndstooth/)?{re.escape(header.name)} - ", text):
            complaints.append(f"{shown}:1: the head comment does not begin with 'houndstooth/{header.name} - '")
        for compiler in ([cc, "-std=c11", "-x", "c"], [cxx, "-std=c++17", "-x", "c++"]):
            why = compile_alone(header, include, compiler)
            if why:
                complaints.append(f"{shown}: does not compile alone with {' '.join(compiler[:2])}: {why}")
    return complaints, n_declared


def blocks(page: str) -> Iterator[tuple[int, list[str]]]:
    """First line (from 1) and lines of each ```c and ```yaml block."""
    start, lines = 0, page.splitlines()
    for number, line in enumerate(lines, 1):
        if not start and line in ("```c", "```yaml"):
            start = number + 1
        elif start and line == "```":
            yield start, lines[start - 1 : number - 1]
            start = 0


def flat(lines: Iterable[str]) -> str:
    return "\n" + "".join(f"{line.strip()}\n" for line in lines)


def misquoted(root: pathlib.Path) -> tuple[list[str], int]:
    complaints, n_blocks = [], 0
    for page in sorted((root / "docs").rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        folder = re.search(r"^<!-- code: (\S+) -->$", text, re.M)
        if not folder:
            continue
        files = [path for path in sorted((root / folder[1]).rglob("*")) if path.suffix in (".c", ".h", ".yaml")]
        code = [flat(path.read_text(encoding="utf-8").splitlines()) for path in files]
        for number, lines in blocks(text):
            n_blocks += 1
            if not any(flat(lines) in one for one in code):
                complaints.append(f"{page.relative_to(root)}:{number}: this block stands in no file of {folder[1]}")
    return complaints, n_blocks


HEAD = "/* houndstooth/a.h - a. */\n#define HT_API\n"
GOOD = HEAD + (
    "/* One. */\nHT_API int ht_one(void);\nHT_API int ht_pair(void);\n\n"
    "/*\n * Two\n * lines.\n */\nHT_API int ht_two(void);\n\nHT_API int ht_three(void); /* Three. */\n"
)
BAD = {
    "no comment": HEAD + "/* One. */\nHT_API int ht_one(void);\n\nHT_API int ht_bare(void);\n",
    "no comment: HT_API int ht_headline": HEAD + "/* ---- part ---- */\nHT_API int ht_headline(void);\n",
    "head comment": "#define HT_API\n/* One. */\nHT_API int ht_one(void);\n",
    "-std=c11": HEAD + "/* One. */\nHT_API bool ht_one(void);\n",
    "-std=c++17": HEAD + "/* One. */\nHT_API int ht_one(int class);\n",
}


CODE = "int a(void)\n{\n    int b = 1;\n    return b;\n}\n"
PAGE = "<!-- code: code -->\n```c\nint b = 1;\nreturn b;\n```\n```sh\nnot code\n```\n```c\n%s\n```\n"
MISQUOTES = ["return c;", "return b", "int b = 1;\n\nreturn b;", "turn b;"]


def self_test_quotes(root: pathlib.Path) -> list[str]:
    (root / "docs").mkdir()
    (root / "code").mkdir()
    (root / "code" / "a.c").write_text(CODE)
    page = root / "docs" / "a.md"
    page.write_text(PAGE % "    int b = 1;")
    wrong = [f"complains without reason: {line}" for line in misquoted(root)[0]]
    for quote in MISQUOTES:
        page.write_text(PAGE % quote)
        complaints = misquoted(root)[0]
        if len(complaints) != 1 or "docs/a.md:10:" not in complaints[0]:
            wrong.append(f"wanted one complaint about {quote!r}, got {complaints}")
    return wrong


def self_test(cc: str, cxx: str) -> list[str]:
    """What is wrong with this check itself."""
    wrong = []
    with tempfile.TemporaryDirectory() as temp:
        include = pathlib.Path(temp) / "include"
        header = include / "houndstooth" / "a.h"
        header.parent.mkdir(parents=True)
        header.write_text(GOOD)
        wrong += [f"complains without reason: {line}" for line in check(include, cc, cxx)[0]]
        for expected, text in BAD.items():
            header.write_text(text)
            complaints = check(include, cc, cxx)[0]
            if len(complaints) != 1 or expected not in complaints[0]:
                wrong.append(f"wanted '{expected}', got {complaints}")
        wrong += self_test_quotes(pathlib.Path(temp))
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--cxx", default="c++")
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    for compiler in (args.cc, args.cxx):
        if not shutil.which(compiler):
            print(f"docs: no compiler {compiler}: scripts/setup.sh --check installs it")
            return 1
    if args.self_test:
        complaints = self_test(args.cc, args.cxx)
        said = f"docs: {len(BAD)} wrong headers and {len(MISQUOTES)} wrong quotes seen, right ones left alone"
    else:
        complaints, n_declared = check(args.root / "include", args.cc, args.cxx)
        misquotes, n_blocks = misquoted(args.root)
        complaints += misquotes
        said = f"docs: {n_declared} public declarations, each with its comment; every header compiles alone; "
        said += f"{n_blocks} blocks of code as they stand in their files"
        if n_declared == 0:
            complaints.append("no declaration found: is --root right?")
    print("\n".join(complaints) if complaints else said)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
