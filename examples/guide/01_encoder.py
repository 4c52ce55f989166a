"""A class with a lazy init, its row and its batch form, as a column of a frame: 01_encoder.c in Python.

    01_encoder.py [--json] [ROWS]

The class is written as for Daft; only the import differs. Loading it takes a while, a call has a fixed price, a row a
small one. Nothing is loaded when the instance is made: one object is made at the first call and used for all rows.
"""

from __future__ import annotations

import sys
import time

import houndstooth as daft
from guide import digest, measure, parse, report
from houndstooth import DataType, Series

DIM = 8


def busy(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


class Checkpoint:
    """A stand-in with the costs of many models."""

    def __init__(self, model_name: str, trust_remote_code: bool) -> None:
        print(f"[worker] loading {model_name}", file=sys.stderr)
        busy(0.02)

    def _embed(self, text: str) -> list[float]:
        vector = [0.0] * DIM
        for byte in text.encode():
            vector[byte % DIM] += 1
        busy(10e-6)  # the row's own work
        return vector

    def encode(self, text: str, is_query: bool = False) -> list[float]:
        busy(1e-3)  # the price of a call
        return self._embed(text)

    def encode_batch(self, texts: list[str], is_query: bool = False) -> list[list[float]]:
        busy(1e-3)
        return [self._embed(text) for text in texts]


@daft.cls(max_concurrency=2, gpus=0)
class ColBERTEncoder:
    def __init__(self, model_name: str, trust_remote_code: bool = True):
        self.model = Checkpoint(model_name, trust_remote_code)
        self.model_name = model_name

    def encode(self, text: str, is_query: bool = False) -> list[float]:
        return self.model.encode(text, is_query=is_query)

    @daft.method.batch(return_dtype=DataType.python())
    def encode_batch(self, texts: Series, is_query: bool = False) -> Series:
        text_list = texts.to_pylist()
        embeddings = self.model.encode_batch(text_list, is_query=is_query)
        return Series.from_pylist(embeddings)


def main() -> int:
    options = parse(200)
    texts = [f"passage number {i}" for i in range(options.rows)]
    df = daft.from_pydict({"text": texts})
    made, ways = [], []

    def row_by_row(encoder):
        return df.with_column("emb", encoder.encode(daft.col("text"))).collect().to_pydict()["emb"]

    def automatic(encoder):
        return df.with_column("emb", encoder.encode_batch(daft.col("text"))).collect().to_pydict()["emb"]

    def by_hand(encoder):
        return encoder.encode_batch(Series.from_pylist(texts)).to_pylist()

    for way in (row_by_row, automatic, by_hand):
        encoder = ColBERTEncoder("my-model")
        result, took = measure(lambda way=way, encoder=encoder: way(encoder), encoder)
        made.append(result)
        ways.append(took)
    same = made[0] == made[1] == made[2]
    return report("01_encoder", options, ways, same, digest(x for vector in made[1] for x in vector))


if __name__ == "__main__":
    sys.exit(main())
