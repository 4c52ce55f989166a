"""The retrieval graph of thirteen nodes with mock classes, 1,000 passages and 50 queries, beside the same in loops.

The graph is tests/python/programs/seed_pipeline.py, which any module with HyperNodes' names can build.
"""

from __future__ import annotations

import functools
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

from measure import Figure, best, command_line, names_module

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "python" / "programs"))
import seed_pipeline as seed  # noqa: E402  where it is was said a line above

PASSAGES, QUERIES = 1000, 50
NAME = "mock retrieval graph, 1,000 passages x 50 queries"


def inputs() -> dict[str, Any]:
    """Without what no node takes, of which we warn."""
    unused = ("model_name", "trust_remote_code", "rrf_k", "recall_k_list")
    return {name: value for name, value in seed.inputs().items() if name not in unused}


def loops() -> list[dict[str, Any]]:
    """What the graph does, written by hand."""
    given = inputs()
    encoder, fusion = given["encoder"], given["rrf"]
    passages = [{"uuid": f"p{i}", "text": f"passage {i}"} for i in range(PASSAGES)]
    queries = [{"uuid": f"q{i}", "text": f"query {i}"} for i in range(QUERIES)]
    encoded = [{**p, "embedding": encoder.encode(p["text"], is_query=False)} for p in passages]
    vectors = seed.PLAIDIndex(encoded, "folder", "name", True)
    words = seed.BM25IndexImpl(passages)
    lookup = {p["uuid"]: p for p in encoded}
    predictions = []
    for query in [{**q, "embedding": encoder.encode(q["text"], is_query=True)} for q in queries]:
        fused = fusion.fuse([vectors.search(query["embedding"], 500), words.search(query["text"], 500)])
        hits = seed.ColBERTReranker(encoder, lookup).rerank(query, fused, 500)
        for hit in hits:
            row = {"query_uuid": query["uuid"], "paragraph_uuid": hit["passage_uuid"], "score": hit["score"]}
            predictions.append(row)
    return predictions


def by_hand(quick: bool) -> Iterator[Figure]:
    assert len(loops()) == QUERIES * 500
    yield Figure(NAME, best(loops, 5 if quick else 20) * 1e3, "ms")


def named(module: str, quick: bool) -> Iterator[Figure]:
    library, engine = names_module(module)
    pipeline, _ = seed.build(library, "row", PASSAGES, QUERIES, engine=engine())
    result = pipeline.run(inputs=inputs(), output_name=["evaluation_results", "all_predictions"])
    seed.check_eval(result)
    assert result["all_predictions"] == loops()
    run = functools.partial(pipeline.run, output_name="evaluation_results")
    yield Figure(NAME, best(lambda: run(inputs=inputs()), 5 if quick else 20, 6) * 1e3, "ms")


IMPLS = {
    "houndstooth": functools.partial(named, "houndstooth"),
    "by hand": by_hand,
    "hypernodes": functools.partial(named, "hypernodes"),
}

if __name__ == "__main__":
    command_line("graph", IMPLS)
