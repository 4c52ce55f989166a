"""Decorated classes in real Daft frames, and Daft's own decorated classes in our nodes."""

from __future__ import annotations

import asyncio
import os

import houndstooth as ht
import pytest


@pytest.fixture(scope="module")
def daft(peer):
    return peer("daft")


CALLS: list[str] = []


@ht.cls
class Encoder:
    def __init__(self, scale: float) -> None:
        CALLS.append("init")
        self.scale = scale

    def encode(self, text: str, is_query: bool = False) -> dict:
        CALLS.append("row")
        return {"length": len(text), "is_query": is_query}

    @ht.method.batch
    def encode_batch(self, texts, is_query=False):
        CALLS.append("batch")
        return [[len(t) * self.scale, float(is_query)] for t in texts.to_pylist()]

    def size(self, text: str) -> int:
        return len(text)

    async def later(self, x: int) -> int:
        await asyncio.sleep(0.01)
        return x + 1


@ht.cls(use_process=True)
class Away:
    def where(self, x):
        return (os.getpid(), x)


def test_rows_batches_and_coroutines_in_one_frame(daft):
    CALLS.clear()
    e = Encoder(2.0)
    frame = daft.from_pydict({"text": ["hello", "world!"], "x": [1, 2]})
    frame = frame.with_column("emb", e.encode_batch(daft.col("text"), is_query=True))
    frame = frame.with_column("row", e.encode(daft.col("text")))
    frame = frame.with_column("size", e.size(daft.col("text"))).with_column("next", e.later(daft.col("x")))
    assert CALLS == []  # nothing is loaded before collect
    got = frame.to_pydict()
    assert got["emb"] == [[10.0, 1.0], [12.0, 1.0]]
    assert got["row"] == [{"length": 5, "is_query": False}, {"length": 6, "is_query": False}]
    assert got["size"] == [5, 6] and got["next"] == [2, 3]
    assert CALLS.count("init") == 1 and CALLS.count("batch") == 1 and CALLS.count("row") == 2
    assert frame.schema()["size"].dtype == daft.DataType.int64()


def test_the_same_object_here_and_in_the_frame(daft):
    CALLS.clear()
    e = Encoder(1.0)
    assert e.encode_batch(ht.Series.from_pylist(["a"])) == [[1.0, 0.0]] if hasattr(ht, "Series") else True
    daft.from_pydict({"text": ["a"] * 3}).with_column("e", e.encode_batch(daft.col("text"))).to_pydict()
    assert e.encode("abc")["length"] == 3
    assert CALLS.count("init") == 1


def test_a_process_of_its_own_also_for_python_columns(daft):
    a = Away()
    got = daft.from_pydict({"x": [1, 2]}).with_column("p", a.where(daft.col("x"))).to_pydict()["p"]
    assert [x for _, x in got] == [1, 2]
    assert len({pid for pid, _ in got}) == 1 and got[0][0] != os.getpid()


def test_dafts_own_classes_batch_in_our_nodes(daft):
    calls = []

    @daft.cls
    class Theirs:
        def __init__(self, k: int) -> None:
            calls.append("init")
            self.k = k

        def encode(self, text: str) -> int:
            calls.append("row")
            return len(text) * self.k

        @daft.method.batch(return_dtype=daft.DataType.int64())
        def encode_batch(self, texts):
            calls.append("batch")
            return [len(t) * self.k for t in texts.to_pylist()]

    @ht.node(output_name="n")
    def count(text, encoder):
        return encoder.encode(text)

    got = ht.Pipeline([count]).map({"text": ["a", "bb", "ccc"], "encoder": Theirs(3)}, map_over="text")
    assert [g["n"] for g in got] == [3, 6, 9]
    assert calls == ["init", "batch"]
