"""encode_passages as a node, and the same encoder object on every engine: 05_encode.c in Python.

    05_encode.py [--json] [--model FOLDER] [ROWS]

The node is the guide's complete example: a loop in one body that asks for one embedding at a time. All passages go to
the encoder in one batch by themselves. Nothing in node or class changes for threads, processes, Dask or Daft: a worker
receives the encoder's name and arguments and loads its own.
"""

from __future__ import annotations

import sys

import houndstooth as ht
import numpy as np
from guide import digest, engines, measure, parse, report
from houndstooth import ColBERTEncoder, Pipeline, node

ABOUT = (
    "the boundary layer of a wing",
    "heat transfer at high speed",
    "flutter",
    "a slender body in supersonic flow with shock waves",
)


@node(output_name="encoded_passages")
def encode_passages(passages: list[dict], encoder: ColBERTEncoder) -> list[dict]:
    texts = [p["text"] for p in passages]
    embeddings = [encoder.encode(t, is_query=False) for t in texts]
    return [{"uuid": p["uuid"], "embedding": emb} for p, emb in zip(passages, embeddings, strict=True)]


@node(output_name="encoded_passages")
def encode_passages_batch(passages: list[dict], encoder: ColBERTEncoder) -> list[dict]:
    texts = [p["text"] for p in passages]
    embeddings = encoder.encode_batch(texts, is_query=False)
    return [{"uuid": p["uuid"], "embedding": emb} for p, emb in zip(passages, embeddings, strict=True)]


def main() -> int:
    options = parse(256)
    passages = [{"uuid": f"p{i}", "text": f"{ABOUT[i % 4]}, report {i}"} for i in range(options.rows)]
    made, ways = [], []

    def row_by_row(encoder):
        return [{"uuid": p["uuid"], "embedding": encoder.encode(p["text"], is_query=False)} for p in passages]

    def automatic(encoder, engine=None, body=encode_passages):
        pipeline = Pipeline(nodes=[body], engine=engine or ht.SequentialEngine(), name="encode")
        return pipeline.run(inputs={"passages": passages, "encoder": encoder})["encoded_passages"]

    def by_hand(encoder):
        return automatic(encoder, body=encode_passages_batch)

    for way in (row_by_row, automatic, by_hand):
        encoder = ColBERTEncoder(options.model, trust_remote_code=True)
        encoder.encode("loads it: not what is measured")
        result, took = measure(lambda way=way, encoder=encoder: way(encoder), encoder)
        made.append(result)
        ways.append(took)
    encoder = ColBERTEncoder(options.model, trust_remote_code=True)
    made += [automatic(encoder, engine) for engine in engines()]
    pooled = [np.stack([p["embedding"].pooled for p in result]) for result in made]
    same = all(np.array_equal(pooled[0], other) for other in pooled[1:])
    if not options.json:
        print(f"{len(made) - 3} engines give {'the same' if same else 'OTHER'} vectors")
    return report("05_encode", options, ways, same, digest(pooled[1].ravel()))


if __name__ == "__main__":
    sys.exit(main())
