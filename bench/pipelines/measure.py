"""What the programs of this folder share: timing, a chain of trivial functions, the command line.

A program has a function an implementation, which yields figures and imports what it measures itself, so that each
implementation can have a process of its own:

    PROGRAM.py --impl NAME [--quick]      prints a JSON line a figure: bench, name, impl, value, unit, note
    PROGRAM.py --list                     prints the names
"""

from __future__ import annotations

import argparse
import atexit
import importlib
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

# Nobody reports home, and no bar is drawn.
os.environ.update(DAFT_ANALYTICS_ENABLED="0", DAFT_PROGRESS_BAR="0", HAMILTON_TELEMETRY_ENABLED="false")


class Figure(NamedTuple):
    """One measured value; `impl` where it is not the one that was asked for."""

    name: str
    value: float
    unit: str
    note: str = ""
    impl: str = ""


Program = Callable[[bool], Iterator[Figure]]  # of: is it a quick run?


def best(work: Callable[[], Any], times: int, seconds: float = 4.0) -> float:
    """Seconds of the fastest of `times` calls, fewer if they take longer than `seconds` together."""
    fastest = float("inf")
    start = time.perf_counter()
    for _ in range(times):
        before = time.perf_counter()
        work()
        now = time.perf_counter()
        fastest = min(fastest, now - before)
        if now - start > seconds:
            break
    return fastest


def spin(seconds: float) -> None:
    """Work of a known duration that holds the CPU, as an encoder does."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def chain_module(length: int) -> ModuleType:
    """A module of functions v1(v0), v2(v1), ... that add one; in a file, since some peers read the source."""
    folder = tempfile.mkdtemp(prefix="chain")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    name = f"chain_of_{length}_{os.getpid()}"
    functions = [f"def v{i}(v{i - 1}: int) -> int:\n    return v{i - 1} + 1\n" for i in range(1, length + 1)]
    (pathlib.Path(folder) / f"{name}.py").write_text("\n\n".join(functions), encoding="utf-8")
    sys.path.insert(0, folder)
    return importlib.import_module(name)


def functions_of(module: ModuleType) -> list[Callable[[int], int]]:
    """v1, v2, ... of a chain in order."""
    return [getattr(module, f"v{i}") for i in range(1, 1 + sum(name[1:].isdigit() for name in vars(module)))]


def names_module(name: str) -> tuple[ModuleType, Any]:
    """A module with HyperNodes' names (ours, or HyperNodes) and its sequential engine."""
    module = importlib.import_module(name)
    return module, importlib.import_module(name + ".engines").SeqEngine


def command_line(bench: str, programs: dict[str, Program]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--impl", choices=list(programs), action="append", help="default: each, in this process")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions and smaller sizes")
    parser.add_argument("--list", action="store_true", help="only print the names of the implementations")
    args = parser.parse_args()
    if args.list:
        print("\n".join(programs))
        return
    for impl in args.impl or programs:
        for figure in programs[impl](args.quick):
            line = {"bench": bench, **figure._asdict(), "impl": figure.impl or impl}
            print(json.dumps(line), flush=True)
