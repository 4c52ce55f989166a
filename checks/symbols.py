#!/usr/bin/env python3
"""Reads what a build exports.

    symbols.py [--build DIR]    check a build (default build/release)
    symbols.py --self-test      compile wrong libraries and prove that each rule can fail

Rules
- the shared library exports ht_ names only;
- every global symbol of an object file is ht_ or hti_;
- an object compiled for an instruction set (-mavx2 and the like) defines exactly one global symbol, its table:
  nothing compiled with such flags may be reached except through it, or a machine without them meets an illegal
  instruction.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

# What sanitizers add on their own account.
TOOLS = re.compile(r"^(__odr_asan|__asan_|__ubsan_|__tsan_|__sanitizer_|_ZN)")
ISA_FLAG = re.compile(r"\s-m(?:sse|avx|amx|fma|f16c|bmi|arch)\S*")


def defined(file: pathlib.Path, *, dynamic: bool) -> list[str]:
    """The global symbols that `file` defines."""
    args = ["nm", "--defined-only", "--extern-only", "--format=posix", *(["-D"] if dynamic else []), str(file)]
    out = subprocess.run(args, capture_output=True, text=True, check=True).stdout
    names = [line.split()[0] for line in out.splitlines() if line.strip()]
    return [name.split("@")[0] for name in names if not TOOLS.match(name)]


def isa_objects(ninja: str) -> set[str]:
    """Objects of build.ninja whose compiler flags name an instruction set."""
    found, now = set(), ""
    for line in ninja.splitlines():
        start = re.match(r"build (\S+\.o):", line)
        if start:
            now = start[1]
        elif line.startswith("  FLAGS =") and ISA_FLAG.search(line):
            found.add(now)
    return found


def check(build: pathlib.Path) -> tuple[list[str], str]:
    libraries = sorted(build.glob("libhoundstooth.so"))
    objects = sorted((build / "CMakeFiles/ht_objects.dir").rglob("*.o"))
    if not libraries or not objects:
        return [f"{build}: no libhoundstooth.so or no objects: build it first (scripts/build.sh release)"], ""
    complaints, exported = [], []
    for library in libraries:
        exported = defined(library, dynamic=True)
        complaints += [f"{library.name}: exports {name}" for name in exported if not name.startswith("ht_")]
        if not exported:
            complaints.append(f"{library.name}: exports nothing")
    isa = isa_objects((build / "build.ninja").read_text(encoding="utf-8"))
    n_isa = 0
    for file in objects:
        shown = file.relative_to(build / "CMakeFiles/ht_objects.dir")
        names = defined(file, dynamic=False)
        loose = [name for name in names if not name.startswith(("ht_", "hti_"))]
        complaints += [f"{shown}: {name} is neither ht_ nor hti_" for name in loose]
        if str(file.relative_to(build)) in isa:
            n_isa += 1
            if len(names) != 1:
                complaints.append(f"{shown}: an instruction set's file defines {len(names)} globals, not 1: {names}")
    said = f"symbols: {len(exported)} exported, all ht_; {len(objects)} objects, {n_isa} of an instruction set"
    return complaints, said


LIBRARY = "houndstooth"
API = '__attribute__((visibility("default")))'
# Two sources, the second compiled with -mavx2; None: nothing to complain about, else a word of the complaint.
CASES = [
    (f"{API} int ht_a(void) {{ return 1; }} int hti_b(void) {{ return 1; }}", "int hti_t;", None),
    (f"{API} int hti_a(void) {{ return 1; }} {API} int ht_a(void) {{ return 1; }}", "int hti_t;", "exports hti_a"),
    (f"{API} int ht_a(void) {{ return 1; }} int loose(void) {{ return 1; }}", "int hti_t;", "loose is neither"),
    (f"{API} int ht_a(void) {{ return 1; }}", "int hti_t; int hti_u;", "defines 2 globals"),
    ("int hti_b(void) { return 1; }", "int hti_t;", "exports nothing"),
]


def self_test(cc: str) -> list[str]:
    """What is wrong with this check itself."""
    wrong = []
    for first, second, expected in CASES:
        with tempfile.TemporaryDirectory() as temp:
            build = pathlib.Path(temp)
            objects = build / "CMakeFiles/ht_objects.dir"
            objects.mkdir(parents=True)
            made = []
            for name, text, flags in (("a.c", first, []), ("t.c", second, ["-mavx2"])):
                (build / name).write_text(text)
                made.append(str(objects / f"{name}.o"))
                subprocess.run(
                    [cc, "-c", "-fPIC", "-fvisibility=hidden", *flags, "-o", made[-1], str(build / name)], check=True
                )
            subprocess.run([cc, "-shared", "-o", str(build / f"lib{LIBRARY}.so"), *made], check=True)
            rule = "build CMakeFiles/ht_objects.dir/t.c.o: C t.c\n  FLAGS = -g -mavx2 -mfma\n"
            (build / "build.ninja").write_text(rule)
            complaints, _ = check(build)
            seen = len(complaints) == 1 and expected in complaints[0] if expected else not complaints
            if not seen:
                wrong.append(f"{first} | {second}: wanted {expected}, got {complaints}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parent.parent
    parser.add_argument("--build", type=pathlib.Path, default=root / "build/release")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.self_test:
        complaints, said = self_test(args.cc), f"symbols: {len(CASES)} made-up builds judged rightly"
    else:
        complaints, said = check(args.build)
    print("\n".join(complaints) if complaints else said)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
