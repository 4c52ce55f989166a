"""Results of a map one by one: in order, early, bounded, and ended early where nobody reads on."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time
from itertools import islice
from typing import Any

import houndstooth as ht
import pytest
from houndstooth._stream import ROOM

ENGINES = [ht.SequentialEngine, lambda **o: ht.ThreadEngine(2, **o)]
each = pytest.mark.parametrize("make", ENGINES, ids=["sequential", "threads"])


def counting() -> tuple[ht.Pipeline, list[int]]:
    ran: list[int] = []

    @ht.node(output_name="y")
    def square(x):
        ran.append(x)
        return x * x

    return ht.Pipeline([square]), ran


@each
def test_all_results_in_order(make) -> None:
    pipeline, _ = counting()
    assert list(pipeline.stream({"x": range(500)}, "x", engine=make())) == [{"y": x * x} for x in range(500)]


def test_it_is_map_one_by_one_also_for_products_and_chosen_outputs() -> None:
    @ht.node(output_name="s")
    def add(x, y):
        return x + y

    @ht.node(output_name="t")
    def twice(s):
        return 2 * s

    pipeline = ht.Pipeline([add, twice])
    arguments = ({"x": [1, 2], "y": [10, 20]}, ["x", "y"], "product", "t")
    assert list(pipeline.stream(*arguments)) == pipeline.map(*arguments)
    assert list(pipeline.stream({"x": [], "y": 1}, "x")) == []


def test_the_first_result_is_there_before_the_last_item_runs() -> None:
    go = threading.Event()

    @ht.node(output_name="y")
    def wait(x):
        if x == 3:
            assert go.wait(20)
        return x

    results = ht.Pipeline([wait]).stream({"x": [0, 1, 2, 3]}, "x", engine=ht.SequentialEngine(window=1))
    assert [r["y"] for r in islice(results, 3)] == [0, 1, 2]
    go.set()
    assert [r["y"] for r in results] == [3]


@each
def test_a_slow_reader_holds_the_run_back(make) -> None:
    pipeline, ran = counting()
    results = pipeline.stream({"x": range(5000)}, "x", engine=make(window=16))
    assert next(results) == {"y": 0}
    time.sleep(0.3)
    assert len(ran) <= ROOM + 2 * 16 + 2
    assert sum(1 for _ in results) == 4999
    assert len(ran) == 5000


@each
def test_closing_it_ends_the_run(make) -> None:
    pipeline, ran = counting()
    results = pipeline.stream({"x": range(100_000)}, "x", engine=make(window=16))
    next(results)
    results.close()
    n = len(ran)
    assert n < 1000
    assert not [t for t in threading.enumerate() if t.name == "houndstooth-stream"]
    time.sleep(0.05)
    assert len(ran) == n
    assert list(results) == []


def test_closing_it_ends_a_run_that_gives_no_results() -> None:
    ran: list[int] = []

    @ht.node(output_name="kept", on_error="skip")
    def never(x):
        ran.append(x)
        time.sleep(0.001)
        if x:
            raise ValueError
        return x

    results = ht.Pipeline([never]).stream({"x": range(60_000)}, "x", engine=ht.SequentialEngine(window=4))
    assert next(results) == {"kept": 0}
    results.close()
    assert len(ran) < 10_000


def test_a_forgotten_generator_ends_its_run() -> None:
    pipeline, ran = counting()
    results = pipeline.stream({"x": range(100_000)}, "x", engine=ht.SequentialEngine(window=16))
    next(results)
    del results
    gc.collect()
    assert not [t for t in threading.enumerate() if t.name == "houndstooth-stream"]
    assert len(ran) < 1000


def test_bodies_that_wait_are_tidied_up_where_it_is_closed() -> None:
    tidied: list[Any] = []

    @ht.cls
    class Doubler:
        def double(self, x):
            return 2 * x

        @ht.method.batch
        def double_batch(self, xs):
            return [2 * x for x in xs]

    @ht.node(output_name="y")
    def body(x, doubler):
        try:
            return doubler.double(x) + doubler.double(x)
        finally:
            tidied.append(x)

    engine = ht.SequentialEngine(window=8)
    results = ht.Pipeline([body]).stream({"x": range(10_000), "doubler": Doubler()}, "x", engine=engine)
    assert next(results) == {"y": 0}
    results.close()
    assert len(tidied) == len(set(tidied)) < 1000


@each
def test_what_the_run_raises_comes_behind_the_results_before_it(make) -> None:
    @ht.node(output_name="y")
    def bad(x):
        if x == 30:
            raise KeyError("thirty")
        return x

    got = []
    with pytest.raises(KeyError, match="thirty") as caught:
        for r in ht.Pipeline([bad]).stream({"x": range(100)}, "x", engine=make(window=1)):
            got.append(r["y"])  # noqa: PERF401
    assert got == list(range(30))
    assert any("item 30" in note for note in caught.value.__notes__)


def test_failures_are_collected() -> None:
    @ht.node(output_name="y")
    def bad(x):
        return 6 // x

    got = list(ht.Pipeline([bad]).stream({"x": [1, 0, 3]}, "x", errors="collect"))
    assert [got[0], got[2]] == [{"y": 6}, {"y": 2}]
    assert isinstance(got[1], ht.Failure)
    assert (got[1].item, got[1].node, type(got[1].error)) == (1, "bad", ZeroDivisionError)


def test_wrong_inputs_are_told_at_the_first_next() -> None:
    pipeline, _ = counting()
    results = pipeline.stream({}, "x")
    with pytest.raises(ValueError, match="x"):
        next(results)


def test_context_variables_are_the_callers() -> None:
    variable = contextvars.ContextVar("variable", default="no")

    @ht.node(output_name="y")
    def read(x):
        return variable.get()

    variable.set("yes")
    assert [r["y"] for r in ht.Pipeline([read]).stream({"x": [1]}, "x")] == ["yes"]


def test_two_streams_at_once_and_with_callbacks() -> None:
    heard: list[str] = []

    class Heard(ht.PipelineCallback):
        def on_map_end(self, total_duration, ctx):
            heard.append("end")

    pipeline, _ = counting()
    engine = ht.SequentialEngine(callbacks=[Heard()])
    one = pipeline.stream({"x": range(200)}, "x", engine=engine)
    two = pipeline.stream({"x": range(200)}, "x", engine=engine)
    for a, b in zip(one, two, strict=True):
        assert a == b
    assert heard == ["end", "end"]


def test_what_is_no_result_function_is_refused() -> None:
    pipeline, _ = counting()
    engine = ht.SequentialEngine()
    core = pipeline._core(False)
    for wrong in (1, (print,), (print, b"\0"), (print, bytearray())):
        with pytest.raises(TypeError):
            core.run({"x": [1]}, None, engine._settings(), True, ("x",), False, False, wrong)


@each
def test_a_slow_item_lets_no_more_than_a_window_run_ahead(make) -> None:
    ran: list[int] = []

    @ht.node(output_name="n")
    def work(x):
        ran.append(x)
        if x == 0:
            time.sleep(0.2)
        return len(ran)

    results = ht.Pipeline([work]).stream({"x": range(5000)}, "x", engine=make(window=16))
    assert next(results)["n"] <= 16
    results.close()


# ---- cancelled while awaited ----


def test_a_cancelled_run_ends_its_coroutines_and_starts_no_more():
    seen: list[str] = []

    @ht.node(output_name="a")
    async def first(x):
        seen.append("began")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    @ht.node(output_name="b")
    def second(a):
        seen.append("second")

    async def main(call) -> float:
        task = asyncio.ensure_future(call())
        while "began" not in seen:
            await asyncio.sleep(0.001)
        start = time.perf_counter()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.perf_counter() - start

    pipeline = ht.Pipeline([first, second])
    for call in (lambda: pipeline.arun({"x": 1}), lambda: pipeline.amap({"x": [1, 2, 3]}, map_over="x")):
        for engine in (ht.SequentialEngine(), ht.ThreadEngine(2)):
            pipeline.engine = engine
            seen.clear()
            assert asyncio.run(main(call)) < 2
            assert seen.count("began") == seen.count("cancelled") and "second" not in seen


def test_a_run_that_is_cancelled_before_it_began():
    @ht.node(output_name="a")
    async def forever(x):
        await asyncio.sleep(60)

    pipeline = ht.Pipeline([forever])

    async def main(pause: float) -> None:
        task = asyncio.ensure_future(pipeline.arun({"x": 1}))
        await asyncio.sleep(0)
        await asyncio.sleep(pause)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    start = time.perf_counter()
    for i in range(200):  # the pauses fall before, in and behind the start of the coroutine
        asyncio.run(main(i * 1e-5))
    assert time.perf_counter() - start < 20


def test_a_cancelled_run_of_plain_nodes_ends_between_two():
    ran: list[int] = []

    @ht.node(output_name="a")
    def slow(x):
        ran.append(x)
        time.sleep(0.01)

    async def main() -> None:
        task = asyncio.ensure_future(ht.Pipeline([slow]).amap({"x": list(range(1000))}, map_over="x"))
        while not ran:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        n = len(ran)
        await asyncio.sleep(0.05)
        assert len(ran) == n < 100  # it has ended, not only been left

    asyncio.run(main())
