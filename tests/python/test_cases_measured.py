"""Cases that measuring the peers has added: many nested items, mixed values, order, and where Daft is strong."""

# ctest: serial
# ctest: timeout=300
from __future__ import annotations

import asyncio
import builtins
import os
import time
from collections import Counter

import houndstooth as ht
import numpy as np
import pytest
from houndstooth import DataType, Series, col, method


@ht.node(output_name="b")
def inc(a):
    return a + 1


def test_nested_map_of_2000_by_100(engine):
    each = ht.Pipeline([inc], name="each").as_node(map_over="a", output_mapping={"b": "bs"})
    lists = [list(range(i, i + 100)) if i % 10 else [] for i in range(2000)]
    got = ht.Pipeline([each]).map({"a": lists}, "a", engine=engine)
    assert len(got) == 2000
    assert all(g["bs"] == [x + 1 for x in one] for g, one in zip(got, lists, strict=True))  # also the 200 empty ones


def test_batch_size_zero_is_an_error_and_breaks_nothing(engine):
    p = ht.Pipeline([inc])
    before = p.map({"a": range(40)}, "a", engine=engine)
    for wrong in (0, -3):
        for make in (
            lambda n: ht.node(batch_size=n)(lambda x: x),
            lambda n: method.batch(batch_size=n)(lambda self, xs: xs),
            lambda n: ht.func.batch(lambda xs: xs, batch_size=n),
        ):
            with pytest.raises(ValueError, match="batch_size is at least 1"):
                make(wrong)
    assert p.map({"a": range(40)}, "a", engine=engine) == before


class Thing:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return type(other) is Thing and other.x == self.x

    __hash__ = object.__hash__


MIXED = [
    *((1, "a"), ("x",), (), [1, "a"], [1, 2.5], [[1], []], {"a": 1}, {"b": 2}, {"a": {"b": (1,)}}, {1: 2}),
    *(2**80, -(2**70), 1, 1.0, True, None, "ü", b"\0", 1 + 2j, {1, 2}, frozenset([1]), range(3), Thing(5)),
    *(np.float32(1.5), np.int8(3), float("inf")),
]


def test_values_of_all_kinds_come_back_unchanged(engine):
    same = ht.Node(lambda a: a, "b")
    nested = ht.Pipeline([ht.Node(lambda b: b, "c")], name="each").as_node(map_over="b")
    got = ht.Pipeline([same, ht.Node(lambda b: [b], "bs")]).map({"a": MIXED}, "a", engine=engine)
    assert [g["b"] for g in got] == MIXED and [g["bs"] for g in got] == [[v] for v in MIXED]
    assert [type(g["b"]) for g in got] == [type(v) for v in MIXED]
    assert [type(g["bs"][0]) for g in got] == [type(v) for v in MIXED]
    one = ht.Pipeline([nested]).run({"b": MIXED}, engine=engine)["c"]
    assert one == MIXED and [type(v) for v in one] == [type(v) for v in MIXED]


@pytest.mark.parametrize("name", ["DaskEngine", "DaftEngine"])
def test_a_missing_engine_tells_why(monkeypatch, name):
    wanted = name.removesuffix("Engine").lower()
    importing = builtins.__import__

    def without(module, *args, **kwargs):
        if module.split(".")[0] == wanted:
            raise ImportError(f"No module named {module!r}")
        return importing(module, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=rf"{name} needs {wanted}: pip install 'houndstooth\[{wanted}\]'"):
        getattr(ht, name)()


# ---- class UDFs as they are written ----


@ht.cls
class Encoder:
    @method.batch(return_dtype=DataType.python())
    def lists(self, texts: Series) -> Series:
        return Series.from_pylist([[float(len(t)), 0.0] for t in texts.to_pylist()])

    @method.batch(return_dtype=DataType.python(), batch_size=7)
    def dicts(self, texts: Series) -> Series:
        return Series.from_pylist([[{"id": t, "score": 1 / (i + 1)} for i in range(len(t))] for t in texts.to_pylist()])

    @method(return_dtype=DataType.python())
    def tuples(self, text: str):
        return (text, {"n": (len(text),)})


def test_lists_and_dicts_under_a_python_dtype(peer):
    texts = ["a" * (i % 4) for i in range(20)]
    wanted = {
        "lists": [[float(len(t)), 0.0] for t in texts],
        "dicts": [[{"id": t, "score": 1 / (i + 1)} for i in range(len(t))] for t in texts],
        "tuples": [(t, {"n": (len(t),)}) for t in texts],
    }
    daft = peer("daft")
    for module in (ht, daft):  # in our frames and in Daft's own
        encoder, frame = Encoder(), module.from_pydict({"text": texts})
        for name in wanted:
            frame = frame.with_column(name, getattr(encoder, name)(module.col("text")))
        got = frame.to_pydict()
        assert {name: got[name] for name in wanted} == wanted, module.__name__


@ht.cls(max_concurrency=2, use_process=True)
class Pool:
    @method.batch(batch_size=10)
    def slow_first(self, xs):
        time.sleep(0.03 if xs[0] == 0 else 0)
        return [(x, os.getpid()) for x in xs]

    async def later(self, x):
        await asyncio.sleep(0.01 if x == 0 else 0)
        return x

    @method.batch(batch_size=10)
    async def later_all(self, xs):
        await asyncio.sleep(0.02 if xs[0] == 0 else 0)
        return list(xs)


def test_pools_and_asynchronous_batches_keep_the_order():
    frame, pool = ht.from_pydict({"x": list(range(100))}), Pool()
    columns = {"a": pool.slow_first(col("x")), "b": pool.later(col("x")), "c": pool.later_all(col("x"))}
    got = frame.with_columns(columns).collect(engine=ht.ThreadEngine(2)).to_pydict()
    assert [x for x, _ in got["a"]] == got["b"] == got["c"] == got["x"] == list(range(100))
    assert os.getpid() not in {pid for _, pid in got["a"]}


# ---- where Daft is strong ----


async def ten_ms(x):
    await asyncio.sleep(0.01)
    return x


@ht.cls
class Ten:
    async def wait(self, x):
        return await ten_ms(x)


def test_a_hundred_coroutines_take_as_long_as_one(peer):
    """Against asyncio.gather and a coroutine UDF of Daft, in turn."""
    daft = peer("daft")
    ours, mapped = ht.from_pydict({"x": list(range(100))}), ht.Pipeline([ht.Node(ten_ms, "y")])
    theirs = daft.func(ten_ms, return_dtype=daft.DataType.int64())

    async def gather():
        return await asyncio.gather(*(ten_ms(x) for x in range(100)))

    ways = {
        "gather": lambda: asyncio.run(gather()),
        "daft": lambda: daft.from_pydict({"x": list(range(100))}).select(theirs(daft.col("x"))).to_pydict()["x"],
        "frame": lambda: ours.select(Ten().wait(col("x"))).to_pydict()["x"],
        "map": lambda: [r["y"] for r in mapped.map({"x": range(100)}, "x")],
    }
    took = {name: [] for name in ways}
    for _ in range(5):
        for name, way in ways.items():
            started = time.perf_counter()
            assert list(way()) == list(range(100)) or name == "daft"
            took[name].append(time.perf_counter() - started)
    least = {name: min(times) for name, times in took.items()}
    assert max(least["frame"], least["map"]) < least["gather"] + 0.005, least
    assert max(least["frame"], least["map"]) < least["daft"] + 0.003, least


def test_numbers_go_through_batches_without_a_copy():
    numbers = np.arange(10_000, dtype=np.float64)
    seen = []

    @ht.cls
    class Through:
        @method.batch
        def through(self, xs):
            array = np.asarray(xs)
            seen.append(array.__array_interface__["data"][0])
            return array

    made = ht.from_pydict({"x": numbers}).select(Through().through(col("x"))).collect().to_series("x")
    assert seen == [numbers.__array_interface__["data"][0]]
    assert np.asarray(made).__array_interface__["data"][0] == seen[0] and np.array_equal(np.asarray(made), numbers)


def test_retries_are_by_row(engine, log):
    def flaky(x):
        log(x)
        if x % 7 == 3 and log.lines().count(str(x)) < 3:
            raise OSError("not yet")
        return -x

    p = ht.Pipeline([ht.Node(flaky, "y", max_retries=2, retry_wait=0.001)])
    assert [g["y"] for g in p.map({"x": range(28)}, "x", engine=engine)] == [-x for x in range(28)]
    tries = Counter(log.lines())
    assert tries == {str(x): 3 if x % 7 == 3 else 1 for x in range(28)}
