"""An index as a class: search and search_batch, and what override does to one that is there already.

    04_index.py [--json] [ROWS]

The index is built where it is first searched, once for each worker. Its vectors are made up, so no model is needed.
04_index.c in Python.
"""

from __future__ import annotations

import sys
import tempfile

import houndstooth as ht
import numpy as np
from guide import digest, measure, parse, report
from houndstooth import Pipeline, PLAIDIndex, node

DIM, TOKENS, QUERY_TOKENS, PASSAGES, TOP_K = 64, 24, 8, 2000, 10


def embeddings_of(seeds: np.ndarray, n_tokens: int) -> np.ndarray:
    """[n, n_tokens, DIM] of unit length, the same for the same seeds as in C."""
    state = seeds.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1)
    numbers = np.empty((len(seeds), n_tokens * DIM), np.float32)
    for i in range(n_tokens * DIM):
        state = state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
        numbers[:, i] = (state >> np.uint64(33)).astype(np.float64) / 2**30 - 1
    vectors = numbers.reshape(len(seeds), n_tokens, DIM)
    norms = np.sqrt((vectors.astype(np.float64) ** 2).sum(2, keepdims=True))
    return (vectors / norms).astype(np.float32)


def passages_of(n: int, seed: int) -> list[dict]:
    vectors = embeddings_of(np.arange(seed, seed + n), TOKENS)
    return [{"uuid": f"p{i}", "embedding": vectors[i]} for i in range(n)]


@node(output_name="hits")
def retrieve(query, vector_index, top_k):
    return vector_index.search(query, k=top_k)


def pairs(lists) -> list[list[tuple]]:
    return [[(hit["id"], hit["score"]) for hit in hits] for hits in lists]


def override_is_kept(folder: str, same: list[dict], quiet: bool) -> bool:
    """Another index under the same name is refused, unless it may be replaced."""
    others, told = passages_of(3, 777), ""
    query = others[0]["embedding"]
    again = PLAIDIndex(same, folder, "made_up", override=False).search(query, k=1)  # equal passages: opened, not built
    try:
        PLAIDIndex(others, folder, "made_up", override=False).search(query, k=1)
    except ValueError as error:
        told = str(error)
    if not quiet:
        print(f"override=False over other passages: {told}")
    replaced = PLAIDIndex(others, folder, "made_up", override=True).search(query, k=1)
    return len(again) == 1 and "override" in told and replaced[0]["id"] == "p0"


def main() -> int:
    options = parse(200)
    passages = passages_of(PASSAGES, 1)
    queries = list(embeddings_of(np.arange(1_000_000, 1_000_000 + options.rows), QUERY_TOKENS))
    made, ways = [], []

    def row_by_row(index):
        return [index.search(query, k=TOP_K) for query in queries]

    def automatic(index, engine=None):
        pipeline = Pipeline([retrieve], engine=engine or ht.SequentialEngine(), name="search")
        rows = pipeline.map({"query": queries, "vector_index": index, "top_k": TOP_K}, map_over="query")
        return [row["hits"] for row in rows]

    def by_hand(index):
        return index.search_batch(queries, k=TOP_K)

    with tempfile.TemporaryDirectory() as folder:
        for way in (row_by_row, automatic, by_hand):
            index = PLAIDIndex(passages, folder, "made_up", override=True)
            index.search(queries[0], k=1)  # builds or opens it: not what is measured
            result, took = measure(lambda way=way, index=index: way(index), index)
            made.append(pairs(result))
            ways.append(took)
        for engine in (ht.ThreadEngine(2), ht.ProcessEngine(2)):
            index = PLAIDIndex(None, folder, "made_up")  # knows no more than where its files are
            made.append(pairs(automatic(index, engine)))
        same = all(made[0] == other for other in made[1:])
        if not options.json:
            print(f"threads and two processes find {'the same' if same else 'OTHERS'}")
        same = override_is_kept(folder, passages, options.json) and same
    return report("04_index", options, ways, same, digest(x for hits in made[1] for hit in hits for x in hit))


if __name__ == "__main__":
    sys.exit(main())
