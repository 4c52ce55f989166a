"""Runs the programs of this folder, each implementation in a process of its own and in turn, and compares.

    beside.py [--model DIR] [--only chain,map,...] [--quick] [--json]

Every program goes several rounds, ours, by hand, the peers, and again; the best of the rounds counts, since whatever
else the machine does only adds. One that takes longer than SLOW seconds goes one round. Prints a JSON line a figure
{bench, name, impl, value, unit, bar, ratio, note, cpu, commit}, then a table; ratio: the peer's over ours, so above 1
where we are better. Bars are for two cores; one that is missed is told and is no error. `--json`: no table.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = {
    "chain": "chain.py",
    "map": "mapped.py",
    "graph": "mock_graph.py",
    "batch": "batch_form.py",
    "async": "async_calls.py",
    "cache": "disk_cache.py",
    "import": "import_time.py",
    "process": "process_call.py",
    "encoder": "real_encoder.py",
}
IMPLS = ["houndstooth", "by hand", "hypernodes", "pipefunc", "hamilton", "dask", "daft"]
OURS, HAND = IMPLS[:2]
ROUNDS, SLOW = 3, 15.0

# What ours may cost, in the figure's unit; a function: of what the same costs by hand.
BARS: dict[str, float | Callable[[float], float]] = {
    "a node of a chain of 100, run": lambda hand: hand + 1,
    "a chain of 1,000 nodes built": 10,
    "an item of a map of 2,000": 1.5,
    "mock retrieval graph, 1,000 passages x 50 queries": lambda hand: 2 * hand,
    "1,000 rows, automatic": 14,
    "1,000 rows, automatic, first run of the process": 18,
    "1,000 rows, DualNode beside one more node": 13,
    "100 x 10 ms asynchronous": 13,
    "1 MB to a warm process and back, an array": 1,
    "1 MB to a warm process and back, a column of a frame": 1,
    "a fresh interpreter that imports it": 45,
    "100 passages encoded, automatic": lambda hand: 1.1 * hand,
}
BARS.update({f"a cached value put, {size} of them": 40 for size in ("500", "2,000", "10,000")})
BARS.update({f"a cached value got, {size} of them": 6 for size in ("500", "2,000", "10,000")})

Line = dict[str, Any]


def output_of(command: list[str]) -> str | None:
    """What a process prints; None if it failed, whose words are on stderr."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode == 0:
        return done.stdout
    print(f"bench: failed with {done.returncode}: {' '.join(command)}", file=sys.stderr)
    return None


def measured(bench: str, quick: bool) -> tuple[list[Line], bool]:
    """The best lines of one program, those of an implementation together; whether every process ended well."""
    program = [sys.executable, str(HERE / PROGRAMS[bench])]
    impls = (output_of([*program, "--list"]) or "").splitlines()
    best: dict[tuple[str, str], Line] = {}
    took = dict.fromkeys(impls, 0.0)
    broken: set[str] = set()
    for turn in range(1 if quick else ROUNDS):
        for impl in impls:
            if impl in broken or took[impl] > SLOW:
                continue
            print(f"bench: {bench}, {impl}, round {turn + 1}", file=sys.stderr, flush=True)
            start = time.perf_counter()
            text = output_of([*program, "--impl", impl, *(["--quick"] if quick else [])])
            took[impl] = time.perf_counter() - start
            if text is None:
                broken.add(impl)
            for line in map(json.loads, (text or "").splitlines()):
                key = line["impl"], line["name"]
                if key not in best or line["value"] < best[key]["value"]:
                    best[key] = line
    return list(best.values()), bool(impls) and not broken


def compared(lines: list[Line]) -> list[Line]:
    """The same with `bar` of ours and `ratio` of the others."""
    ours = {line["name"]: line["value"] for line in lines if line["impl"] == OURS}
    hand = {line["name"]: line["value"] for line in lines if line["impl"] == HAND}
    for line in lines:
        name, bar = line["name"], BARS.get(line["name"])
        if line["impl"] != OURS:
            line["ratio"] = line["value"] / ours[name] if name in ours else None
        elif callable(bar):
            line["bar"] = bar(hand[name]) if name in hand else None
        else:
            line["bar"] = bar
    return lines


def about_machine() -> Line:
    names = [line for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty"]
    commit = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()
    return {"cpu": names[0].partition(":")[2].strip() if names else platform.machine(), "commit": commit or "unknown"}


def number(value: float) -> str:
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def missed(line: Line) -> bool:
    return line.get("bar") is not None and line["value"] > line["bar"]


def cell(line: Line | None) -> str:
    if line is None:
        return "-"
    mark = "*" if line["note"] else ""
    ratio = f" ({number(line['ratio'])}x)" if line.get("ratio") is not None else ""
    return f"{number(line['value'])}{ratio}{mark}"


def print_table(lines: list[Line]) -> None:
    """A row a figure, a column an implementation: the value, and in brackets how many times ours it takes."""
    rows = [("", "unit", "bar", *IMPLS)]
    for name in dict.fromkeys(line["name"] for line in lines):
        of = {line["impl"]: line for line in lines if line["name"] == name}
        ours = of.get(OURS, {})
        bar = number(ours["bar"]) if ours.get("bar") is not None else ""
        rows.append((name, next(iter(of.values()))["unit"], bar, *(cell(of.get(impl)) for impl in IMPLS)))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        parts = [text.ljust(width) if at < 2 else text.rjust(width)
                 for at, (text, width) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
        print("  ".join(parts).rstrip())
    for line in lines:
        if line["note"]:
            print(f"* {line['name']}, {line['impl']}: {line['note']}")


def print_verdict(lines: list[Line]) -> None:
    """Which bars were missed, and where a peer is faster."""
    print()
    barred = [line for line in lines if line.get("bar") is not None]
    for line in filter(missed, barred):
        print(f"missed: {line['name']}: {number(line['value'])} {line['unit']}, the bar is {number(line['bar'])}")
    for line in lines:
        if line["impl"] not in (OURS, HAND) and line.get("ratio") is not None and line["ratio"] < 1:
            print(f"slower: {line['name']}: {line['impl']} takes {line['ratio']:.2f} of ours")
    print(f"{sum(not missed(line) for line in barred)} of {len(barred)} bars held")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, help="folder of the encoder's model; default: the installed one")
    parser.add_argument("--only", default=",".join(PROGRAMS), help=f"of {', '.join(PROGRAMS)}")
    parser.add_argument("--quick", action="store_true", help="one round, fewer repetitions, smaller sizes")
    parser.add_argument("--json", action="store_true", help="only the JSON lines")
    args = parser.parse_args()
    if args.model:
        os.environ["BENCH_MODEL"] = str(args.model.resolve())
    machine, lines, good = about_machine(), [], True
    for bench in args.only.split(","):
        if bench not in PROGRAMS:
            parser.error(f"no bench {bench}; there are {', '.join(PROGRAMS)}")
        made, ended_well = measured(bench, args.quick)
        good &= ended_well
        for line in compared(made):
            print(json.dumps({**line, **machine}), flush=True)
        lines += made
    if not args.json:
        print()
        print_table(lines)
        print_verdict(lines)
        cpus = len(os.sched_getaffinity(0))
        print(f"{machine['cpu']}, {cpus} CPUs, Python {platform.python_version()}, commit {machine['commit']}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
