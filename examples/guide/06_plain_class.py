"""A plain class with a manual _ensure_loaded, on every engine: 06_plain_struct.c in Python.

    06_plain_class.py [--json] [ROWS]

Not every heavy object is a decorated class. This one is pickled to workers before it has loaded anything, and loads its
model there, once. Undecorated, its batches are made by hand.
"""

from __future__ import annotations

import json
import sys
import time

from guide import digest, engines, parse
from houndstooth import Pipeline, node

LOADED = []  # the models loaded in this process


def load_model(model_name: str):
    time.sleep(0.02)
    LOADED.append(model_name)
    return lambda texts: [len(text) + len(model_name) for text in texts]


class ColBERTEncoder:
    def __init__(self, model_name: str):
        self.model_name = model_name
        self._model = None

    def _ensure_loaded(self):
        if self._model is None:
            self._model = load_model(self.model_name)

    def encode_batch(self, texts: list[str], is_query: bool = False):
        self._ensure_loaded()
        return self._model(texts)


@node(output_name="encoded_passages")
def encode_passages_batch(passages: list[dict], encoder: ColBERTEncoder) -> list[dict]:
    texts = [p["text"] for p in passages]
    embeddings = encoder.encode_batch(texts, is_query=False)
    return [{"uuid": p["uuid"], "embedding": e} for p, e in zip(passages, embeddings, strict=True)]


@node(output_name="embedding")
def encode_passage(passage: dict, encoder: ColBERTEncoder) -> int:
    return encoder.encode_batch([passage["text"]])[0]


def main() -> int:
    options = parse(1000)
    passages = [{"uuid": f"p{i}", "text": f"passage number {i}"} for i in range(options.rows)]
    mapped, good = None, True
    for engine in engines():
        name = type(engine).__name__
        encoder = ColBERTEncoder("my-model")
        LOADED.clear()
        start = time.perf_counter()
        whole = Pipeline(nodes=[encode_passages_batch], engine=engine).run({"passages": passages, "encoder": encoder})
        inner = Pipeline(nodes=[encode_passage], engine=engine)
        rows = inner.map({"passage": passages, "encoder": encoder}, map_over="passage")
        by_rows = [row["embedding"] for row in rows]
        seconds = time.perf_counter() - start
        mapped = mapped or by_rows
        right = by_rows == mapped == [p["embedding"] for p in whole["encoded_passages"]]
        good = good and right
        if not options.json:
            told = "as it must be" if right else "WRONG"
            print(f"{name:16} {options.rows} passages in {seconds:.3f} s, loaded here {len(LOADED)} times: {told}")
    if options.json:
        told = {"program": "06_plain_struct", "rows": options.rows, "same": good, "digest": digest(mapped)}
        print(json.dumps(told))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
