"""A real encoder on every 14th document of Cranfield: row by row, as the runtime does it, and batched by hand.

All three in one process, in turn, so that they meet the same weather.
"""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Iterator

from measure import Figure, best, command_line

CORPUS = pathlib.Path(__file__).resolve().parents[2] / "data" / "cranfield" / "corpus.jsonl"
EVERY, BATCH = 14, 64


def embed(text, encoder):
    return encoder.encode(text)


def houndstooth(quick: bool) -> Iterator[Figure]:
    import houndstooth as ht

    with CORPUS.open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in list(lines)[:: EVERY * 4 if quick else EVERY]]
    encoder = ht.ColBERTEncoder(os.environ.get("BENCH_MODEL", "default"))
    pipeline = ht.Pipeline([ht.node(output_name="vectors")(embed)], engine=ht.SequentialEngine())
    inputs = {"text": texts, "encoder": encoder}
    ways = {
        "row by row": lambda: [encoder.encode(text) for text in texts],
        "automatic": lambda: [row["vectors"] for row in pipeline.map(inputs, "text")],
        "by hand": lambda: [
            vectors for at in range(0, len(texts), BATCH) for vectors in encoder.encode_batch(texts[at : at + BATCH])
        ],
    }
    want = [bytes(memoryview(vectors)) for vectors in ways["row by row"]()]
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(1 if quick else 3):
        for name, way in ways.items():
            seconds[name] = min(seconds[name], best(way, 1))
    assert [bytes(memoryview(vectors)) for vectors in ways["automatic"]()] == want, "other vectors in batches"
    yield Figure("100 passages encoded, row by row", seconds["row by row"] * 1e3, "ms")
    yield Figure("100 passages encoded, automatic", seconds["automatic"] * 1e3, "ms")
    yield Figure("100 passages encoded, automatic", seconds["by hand"] * 1e3, "ms", impl="by hand")


IMPLS = {"houndstooth": houndstooth}

if __name__ == "__main__":
    command_line("encoder", IMPLS)
