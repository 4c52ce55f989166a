#!/usr/bin/env python3
"""Runs a command line script and compares what it prints, byte for byte.

    run.py --hound BUILD/hound FILE.t ...
    run.py --self-test

A .t file is text with blocks of this form, indented by two spaces; anything else is comment:

      $ hound search c.ht 'boundary layer' -k 1
      > | cut -f2             (more lines of the same command)
      184
      [3]                     (exit code, where it is not 0)

Standard output and error are taken together. An expected line may end in " (re)": a regular expression for the
whole line, or in " (glob)": * and ? stand for anything. "..." alone stands for any number of lines.
Every file runs in one shell in a new empty folder, so variables and files live on from command to command; $SOURCE
is the source tree, hound is on the PATH, the environment is bare (HOME is the folder, no colours, C.UTF-8).
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from typing import NamedTuple

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent


class Step(NamedTuple):
    line: int  # of the command, from 1
    command: str
    expected: list[str]


def parse(text: str) -> list[Step]:
    """The commands of a .t file with the lines they must print, the exit code last as "[N]" where it is not 0."""
    steps: list[Step] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("  $ "):
            steps.append(Step(number, line[4:], []))
        elif line.startswith("  > ") and steps and not steps[-1].expected:
            steps[-1] = steps[-1]._replace(command=steps[-1].command + "\n" + line[4:])
        elif line.startswith("  ") and steps:
            steps[-1].expected.append(line[2:])
    return steps


def line_fits(expected: str, got: str) -> bool:
    if expected.endswith(" (re)"):
        return re.fullmatch(expected[:-5], got) is not None
    if expected.endswith(" (glob)"):
        return fnmatch.fnmatchcase(got, expected[:-7].replace("[", "[[]"))
    return expected == got


def fits(expected: list[str], got: list[str]) -> bool:
    """Whether the printed lines are the expected ones, "..." standing for any number of them."""
    if not expected:
        return not got
    if expected[0] == "...":
        return any(fits(expected[1:], got[skip:]) for skip in range(len(got) + 1))
    return bool(got) and line_fits(expected[0], got[0]) and fits(expected[1:], got[1:])


def run_steps(steps: list[Step], hound: str, folder: str) -> list[list[str]]:
    """What each command printed, with "[N]" behind it where it failed."""
    mark = "@@end of step@@"
    script = "".join(f"{step.command}\nprintf '\\n{mark} %d\\n' $?\n" for step in steps)
    env = {
        "PATH": f"{os.path.dirname(os.path.abspath(hound))}:{os.environ.get('PATH', '/usr/bin:/bin')}",
        "HOME": folder, "SOURCE": str(SOURCE), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TERM": "dumb",
    }  # fmt: skip
    env.update({k: v for k, v in os.environ.items() if k.startswith(("ASAN_", "UBSAN_", "LSAN_", "TSAN_", "HT_CPU"))})
    done = subprocess.run(
        ["sh"], input=script, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="backslashreplace",
    )  # fmt: skip
    results = []
    for part in re.split(rf"(?<=\n){mark} ", "\n" + done.stdout)[:-1]:
        results.append(part)
    codes = re.findall(rf"^{mark} (\d+)$", done.stdout, re.M)
    printed = []
    for at, part in enumerate(results):
        body = part.split("\n", 1)[1] if "\n" in part else part  # off: the leading newline, or the code before
        body = body[:-1] if body.endswith("\n") else body  # our own newline in front of the mark
        lines = body.split("\n")
        if lines and lines[-1] == "":
            lines.pop()
        if at < len(codes) and codes[at] != "0":
            lines.append(f"[{codes[at]}]")
        printed.append(lines)
    while len(printed) < len(steps):
        printed.append(["(the shell ended before this command was over)"])
    return printed


def check(text: str, name: str, hound: str) -> list[str]:
    """Complaints about one .t file."""
    steps = parse(text)
    if not steps:
        return [f"{name}: no command in it"]
    with tempfile.TemporaryDirectory(prefix="ht-cli-") as folder:
        printed = run_steps(steps, hound, folder)
    complaints = []
    for step, got in zip(steps, printed):
        if not fits(step.expected, got):
            wanted = "".join(f"\n    - {line}" for line in step.expected)
            given = "".join(f"\n    + {line}" for line in got)
            complaints.append(f"{name}:{step.line}: $ {step.command}{wanted}{given}")
    return complaints


GOOD = """Comment.
  $ printf 'a\\nb\\n'
  a
  b
  $ printf 'no newline'; x=5
  no newline
  $ echo $x; false
  5
  [1]
  $ echo a 17
  a \\d+ (re)
  $ true
  $ seq 5
  1
  ...
  5
  $ echo "[x] y
  > z"
  [x] * (glob)
  z
"""
BAD = [
    "  $ echo a\n  b\n",
    "  $ echo a\n",
    "  $ false\n",
    "  $ true\n  a\n",
    "  $ exit 3\n  $ true\n",
    "  $ echo ab\n  a. b (re)\n",
    "",
]


def self_test() -> list[str]:
    """What is wrong with this runner itself."""
    wrong = [f"complains without reason: {line}" for line in check(GOOD, "good", "hound")]
    return wrong + [f"does not see what is wrong with {text!r}" for text in BAD if not check(text, "bad", "hound")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hound", default=str(SOURCE / "build/release/hound"))
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    args = parser.parse_args()
    if args.self_test:
        complaints, said = self_test(), f"cli runner: {len(BAD)} wrong scripts seen, a right one passed"
    else:
        complaints, n_steps = [], 0
        for file in args.files:
            text = file.read_text(encoding="utf-8")
            n_steps += len(parse(text))
            complaints += check(text, file.name, args.hound)
        said = f"{n_steps} commands printed what they must"
        if not args.files:
            complaints = ["name at least one .t file"]
    print("\n".join(complaints) if complaints else said)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
