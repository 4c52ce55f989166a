"""Ten thousand runs that succeed, fail, are cancelled and given up grow nothing: memory, objects and references."""

# ctest: timeout=600
from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import houndstooth as ht
import pytest


class Tracked:
    """Counts its live objects."""

    live = 0

    def __init__(self) -> None:
        Tracked.live += 1

    def __del__(self) -> None:
        Tracked.live -= 1


class Refused(Exception):
    pass


@ht.cls
class Model:
    def __init__(self, name: str) -> None:
        if name == "broken":
            raise Refused(name)
        self.held = Tracked()

    def predict(self, x: int) -> int:
        return 2 * x

    @ht.method.batch
    def predict_batch(self, xs: list) -> list:
        if -1 in xs:
            raise Refused("in a batch")
        return [2 * x for x in xs]

    async def wait(self, x: int) -> int:
        await asyncio.sleep(0 if x >= 0 else 60)
        return x


@ht.node(output_name="thing")
def make(x):
    return Tracked()


@ht.node(output_name="kept")
def keep(thing, x):
    if x == -2:
        raise Refused("in a node")
    return thing


@ht.node(output_name="predicted")
def predict(x, model):
    return model.predict(x)


@ht.node(output_name="waited")
async def wait(x, model):
    return await model.wait(x)


def build(engine: object) -> dict[str, Callable[[], None]]:
    """One run of each kind."""
    once = ht.Pipeline([make, keep], engine=engine)
    rows = ht.Pipeline([predict], engine=engine)
    waits = ht.Pipeline([wait], engine=engine)
    nested = ht.Pipeline([once.as_node(map_over="x"), ht.node(output_name="n")(lambda kept: len(kept))], engine=engine)
    model = Model("good")

    def succeeds() -> None:
        assert isinstance(once.run({"x": 1})["kept"], Tracked)
        assert [row["predicted"] for row in rows.map({"x": [1, 2, 3], "model": model}, map_over="x")] == [2, 4, 6]

    def a_node_fails() -> None:
        with pytest.raises(Refused, match="in a node"):
            once.run({"x": -2})
        with pytest.raises(Refused, match="in a node"):
            nested.run({"x": [1, -2, 3]})

    def a_batch_fails() -> None:
        with pytest.raises(Refused, match="in a batch"):
            rows.map({"x": [1, -1, 3], "model": model}, map_over="x")

    def failures_are_collected() -> None:
        rows = once.map({"x": [1, -2, 3]}, map_over="x", errors="collect")
        assert isinstance(rows[1], ht.Failure) and isinstance(rows[2]["kept"], Tracked)

    def an_object_is_not_made() -> None:
        with pytest.raises(Refused, match="broken"):
            rows.map({"x": [1, 2], "model": Model("broken")}, map_over="x")

    def inputs_are_missing() -> None:
        with pytest.raises(ValueError, match="missing input: x"):
            once.run({})

    def is_cancelled() -> None:
        async def cancelled() -> None:
            task = asyncio.ensure_future(waits.arun({"x": -1, "model": model}))
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cancelled())

    def is_given_up() -> None:
        stream = once.stream({"x": [1, 2, 3, 4]}, map_over="x")
        next(iter(stream))
        stream.close()

    def is_awaited() -> None:
        asyncio.run(waits.arun({"x": 1, "model": model}))

    kinds = (succeeds, a_node_fails, a_batch_fails, failures_are_collected, an_object_is_not_made)
    return {f.__name__: f for f in (*kinds, inputs_are_missing, is_given_up, is_awaited, is_cancelled)}


def grown(run: Callable[[], None], n: int) -> dict[str, int]:
    """What n runs leave behind."""

    def measure() -> dict[str, int]:
        gc.collect()
        sys._clear_type_cache()  # it keeps the names of attributes that were asked for
        return {
            "bytes": tracemalloc.get_traced_memory()[0],
            "objects": len(gc.get_objects()),
            "references": sum(sys.getrefcount(thing) for thing in (None, Model, make, keep, Refused)),
            "live": Tracked.live,
            "threads": threading.active_count(),
            "files": len(os.listdir("/proc/self/fd")),
        }

    before = measure()
    for _ in range(n):
        run()
    after = measure()
    return {key: after[key] - before[key] for key in before}


KINDS = ["succeeds", "a_node_fails", "a_batch_fails", "failures_are_collected", "an_object_is_not_made",
         "inputs_are_missing", "is_given_up", "is_awaited", "is_cancelled"]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["sequential", "threads"])
def test_ten_thousand_runs_grow_nothing(name, kind) -> None:
    """10,000 runs in all: 610 of each of 9 kinds on two engines, in windows of which the least must grow nothing."""
    engine = ht.SequentialEngine() if name == "sequential" else ht.ThreadEngine(2)
    run = build(engine)[kind]
    for _ in range(50):
        run()
    tracemalloc.start()
    grown(run, 5)
    windows = [grown(run, 111) for _ in range(5)]
    tracemalloc.stop()
    least = {key: min(window[key] for window in windows) for key in windows[0]}
    assert least["live"] <= 0 and least["objects"] <= 0 and least["threads"] <= 0 and least["files"] <= 0, least
    assert least["references"] < 50, least  # less than one each two runs
    assert least["bytes"] < 55 * 16, least  # less than the smallest object each two runs


def test_a_leak_would_be_seen() -> None:
    hoard: list[object] = []
    tracemalloc.start()
    least = grown(lambda: hoard.append([None]), 111)
    tracemalloc.stop()
    assert least["bytes"] >= 55 * 16 and least["references"] >= 50 and least["objects"] >= 111


def test_memory_of_the_process() -> None:
    """What tracemalloc does not see: the library's own memory."""

    def resident() -> int:
        fields = Path("/proc/self/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    if "libasan" in os.environ.get("LD_PRELOAD", ""):
        pytest.skip("ASan keeps freed memory")
    runs = build(ht.SequentialEngine())
    del runs["is_cancelled"]
    for run in runs.values():
        for _ in range(100):
            run()
    before = resident()
    for run in runs.values():
        for _ in range(1000):
            run()
    assert resident() - before < 6 << 20  # 7,000 runs of some kilobytes each
