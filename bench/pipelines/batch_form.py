"""A node written for one row whose class has a batch form: 1 ms a call and 0.01 ms a row, 1,000 rows.

"automatic" is the row-written program as it stands; the peers have nothing of the kind, and run it row by row.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from measure import Figure, best, command_line, names_module, spin

ROWS, A_CALL, A_ROW = 1000, 1e-3, 1e-5
TEXTS = [f"text {i}" for i in range(ROWS)]
WANT = [float(len(text)) for text in TEXTS]
BY_ROW, BY_HAND = "1,000 rows, row by row", "1,000 rows, batch by hand"
COLUMN = "1,000 rows, batch method over a column"
DUAL = "1,000 rows, DualNode beside one more node"


def encode(text: str) -> float:
    spin(A_CALL + A_ROW)
    return float(len(text))


def encode_batch(texts: Any) -> list[float]:
    items = texts.to_pylist() if hasattr(texts, "to_pylist") else list(texts)
    spin(A_CALL + A_ROW * len(items))
    return [float(len(text)) for text in items]


class Encoder:
    """Both forms of it."""

    def encode(self, text: str) -> float:
        return encode(text)

    def encode_batch(self, texts: Any) -> list[float]:
        return encode_batch(texts)


def figure(name: str, run: Callable[[], Any], times: int) -> Figure:
    assert list(run()) == WANT, name
    return Figure(name, best(run, times) * 1e3, "ms")


def by_hand(quick: bool) -> Iterator[Figure]:
    yield figure(BY_ROW, lambda: [encode(text) for text in TEXTS], 1)
    yield figure(BY_HAND, lambda: encode_batch(TEXTS), 10)


def embed(text: str, encoder: Any) -> float:
    return encoder.encode(text)


def singular(text):
    return encode(text)


def batch(text):
    return encode_batch(text)


def next_one(embedding):
    return embedding + 1


def dual(library: Any, engine: Any) -> Callable[[], list[float]]:
    """A node that brings both forms, and one more node behind it."""
    both = library.DualNode(output_name="embedding", singular=singular, batch=batch)
    pipeline = library.Pipeline(nodes=[both, library.node(output_name="next")(next_one)], engine=engine)
    return lambda: [row["embedding"] for row in pipeline.map(inputs={"text": TEXTS}, map_over="text")]


def mapper(library: Any, engine: Any, encoder: Any) -> Callable[[], list[float]]:
    pipeline = library.Pipeline(nodes=[library.node(output_name="embedding")(embed)], engine=engine)
    inputs = {"text": TEXTS, "encoder": encoder}
    return lambda: [row["embedding"] for row in pipeline.map(inputs=inputs, map_over="text")]


def houndstooth(quick: bool) -> Iterator[Figure]:
    import houndstooth as ht

    @ht.cls
    class OurEncoder:
        def encode(self, text: str) -> float:
            return encode(text)

        @ht.method.batch
        def encode_batch(self, texts) -> list[float]:
            return encode_batch(texts)

    automatic = mapper(ht, ht.SequentialEngine(), OurEncoder())
    first = best(automatic, 1)
    yield Figure("1,000 rows, automatic, first run of the process", first * 1e3, "ms")
    yield figure("1,000 rows, automatic", automatic, 10)
    yield figure(BY_ROW, mapper(ht, ht.SequentialEngine(batch=False), OurEncoder()), 1)
    yield figure(DUAL, dual(ht, ht.SequentialEngine()), 10)
    encoder = OurEncoder()
    yield figure(BY_HAND, lambda: encoder.encode_batch(TEXTS), 10)
    column, frame = encoder.encode_batch(ht.col("text")).alias("e"), ht.from_pydict({"text": TEXTS})
    yield figure(COLUMN, lambda: frame.select(column).collect().to_pydict()["e"], 10)


def hypernodes(quick: bool) -> Iterator[Figure]:
    library, engine = names_module("hypernodes")
    yield figure(BY_ROW, mapper(library, engine(), Encoder()), 1)
    yield figure(DUAL, dual(library, engine()), 1)


def pipefunc(quick: bool) -> Iterator[Figure]:
    from pipefunc import PipeFunc, Pipeline

    one_by_one = Pipeline([PipeFunc(encode, output_name="embedding", mapspec="text[i] -> embedding[i]")])
    options: dict[str, Any] = {"parallel": False, "storage": "dict", "show_progress": False}
    yield figure(BY_ROW, lambda: list(one_by_one.map({"text": TEXTS}, **options)["embedding"].output), 1)
    whole = Pipeline([PipeFunc(encode_batch, output_name="embeddings")])
    yield figure(BY_HAND, lambda: whole.run("embeddings", kwargs={"texts": TEXTS}), 10)


def dask(quick: bool) -> Iterator[Figure]:
    import dask.bag

    texts = dask.bag.from_sequence(TEXTS, npartitions=1)
    yield figure(BY_ROW, lambda: texts.map(encode).compute(scheduler="synchronous"), 1)
    yield figure(BY_HAND, lambda: texts.map_partitions(encode_batch).compute(scheduler="synchronous"), 10)


def daft(quick: bool) -> Iterator[Figure]:
    import daft

    class DaftEncoder:
        def encode(self, text: str) -> float:
            return encode(text)

        @daft.method.batch(return_dtype=daft.DataType.float64())
        def encode_batch(self, text):
            return encode_batch(text)

    encoder = daft.cls(DaftEncoder)()
    frame = daft.from_pydict({"text": TEXTS})

    def run(column: Any) -> list[float]:
        return frame.select(column.alias("e")).collect().to_pydict()["e"]

    yield figure(BY_ROW, functools.partial(run, encoder.encode(daft.col("text"))), 1)
    yield figure(COLUMN, functools.partial(run, encoder.encode_batch(daft.col("text"))), 10)


IMPLS = {
    "houndstooth": houndstooth,
    "by hand": by_hand,
    "hypernodes": hypernodes,
    "pipefunc": pipefunc,
    "dask": dask,
    "daft": daft,
}

if __name__ == "__main__":
    command_line("batch", IMPLS)
