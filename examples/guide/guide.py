"""What the guide's programs share: options, the table at the end, and a digest of results, as guide.h has them."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any

import houndstooth as ht

WAYS = ("row by row", "automatic", "by hand")


def parse(rows: int) -> argparse.Namespace:
    """NAME [--json] [--model FOLDER] [ROWS]."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true", help="the table as one line of JSON")
    parser.add_argument("--model", default="default", help="a folder, or the name of an installed model")
    parser.add_argument("rows", type=int, nargs="?", default=rows)
    return parser.parse_args()


def engines() -> list:
    """Every engine whose system is installed."""
    made = [ht.SequentialEngine(), ht.ThreadEngine(2), ht.ProcessEngine(2)]
    if find_spec("dask"):
        made.append(ht.DaskEngine(num_workers=2))
    if find_spec("daft"):
        made.append(ht.DaftEngine())
    return made


def digest(results: Iterable[float | str]) -> float:
    """The i-th number, from 0, counts 1 + i mod 7 times; a text is the sum of its bytes."""
    total = 0.0
    for i, result in enumerate(results):
        number = sum(result.encode()) if isinstance(result, str) else float(result)
        total += number * (1 + i % 7)
    return total


def measure(way: Callable[[], Any], instance: Any, rounds: int = 1) -> tuple[Any, dict[str, Any]]:
    """What a way of doing the work gives, and what it took: the quickest of so many rounds, calls in the last one."""
    best = float("inf")
    for _ in range(rounds):
        before = ht.stats(instance)
        start = time.perf_counter()
        made = way()
        best = min(best, time.perf_counter() - start)
    after = ht.stats(instance)
    called = {key: after[key] - before[key] for key in ("row_calls", "batch_calls", "starts")}
    return made, {"seconds": best, "instances": after["objects"], **called}


def report(program: str, options: argparse.Namespace, ways: list[dict[str, Any]], same: bool, figure: float) -> int:
    """The table of three ways, and automatic beside by hand; the exit code."""
    rows, automatic, hand = (way["seconds"] for way in ways)
    if options.json:
        told = {"program": program, "rows": options.rows, "same": same, "digest": figure}
        told |= {"automatic_by_hand": automatic / hand, "rows_by_automatic": rows / automatic}
        print(json.dumps(told | {"ways": [{"way": name, **way} for name, way in zip(WAYS, ways, strict=True)]}))
        return 0 if same else 1
    print(f"{'':12} {'instances':>10} {'row calls':>10} {'batch calls':>11} {'starts':>8} {'seconds':>10}")
    for name, way in zip(WAYS, ways, strict=True):
        calls = f"{way['instances']:10} {way['row_calls']:10} {way['batch_calls']:11} {way['starts']:8}"
        print(f"{name:12} {calls} {way['seconds']:10.4f}")
    equal = "equal" if same else "DIFFER"
    print(
        f"automatic / by hand: {automatic / hand:.2f}; row by row / automatic: {rows / automatic:.1f}; results {equal}"
    )
    return 0 if same else 1
