"""A whole retrieval pipeline with mock components, thirteen nodes and an inner pipeline: retrieval_mock.c in Python.

    retrieval_mock.py [--engine sequential|threads|processes|dask|daft] [--output NAME]

The nodes are written row by row: encode_passage asks for the embedding of its one passage. As the encoder is decorated,
its batch method is called twice, once for all passages and once for all queries.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import houndstooth as ht
from houndstooth import Pipeline, PipelineCallback, node

RECALL_AT = (20, 50, 100, 200, 300, 400, 500)

# ---- mock classes ----


@ht.cls(max_concurrency=2)
class ColBERTEncoder:
    def __init__(self, model_name: str, trust_remote_code: bool = True):
        self.model_name = model_name

    def encode(self, text: str, is_query: bool = False) -> list[float]:
        return [0.1, 0.2, 0.3] if is_query else [0.4, 0.5, 0.6]

    def encode_batch(self, texts: list, is_query: bool = False) -> list:
        return [self.encode(text, is_query) for text in texts]


class PLAIDIndex:
    def __init__(self, encoded_passages, index_folder, index_name, override=True):
        self._documents = {p["uuid"]: p["embedding"] for p in encoded_passages}

    def search(self, query_embedding, k: int) -> list[dict]:
        return [{"id": uuid, "score": 1.0 / (i + 1)} for i, uuid in enumerate(list(self._documents)[:k])]


class BM25IndexImpl:
    def __init__(self, passages):
        self._ids = [p["uuid"] for p in passages]

    def search(self, text: str, k: int) -> list[dict]:
        return [{"passage_uuid": uuid, "score": 0.9 - 0.1 * i} for i, uuid in enumerate(self._ids[:k])]


class ColBERTReranker:
    def __init__(self, encoder, passage_lookup):
        self._encoder, self._passage_lookup = encoder, passage_lookup

    def rerank(self, query, candidates, k: int) -> list[dict]:
        return candidates[:k]


class RRFFusion:
    def __init__(self, k: int = 60):
        self.k = k

    def fuse(self, results_list) -> list[dict]:
        scores: dict[str, float] = {}
        for hits in results_list:
            for rank, hit in enumerate(hits, 1):
                uuid = hit.get("passage_uuid") or hit["id"]
                scores[uuid] = scores.get(uuid, 0.0) + 1.0 / (self.k + rank)
        return [{"id": uuid, "score": score} for uuid, score in sorted(scores.items(), key=lambda x: -x[1])]


class NDCGEvaluator:
    def __init__(self, k: int):
        self.k = k

    def compute(self, predictions, ground_truths) -> float:
        return 0.85


class RecallEvaluator:
    def __init__(self, k_list):
        self.k_list = k_list

    def compute(self, predictions, ground_truths) -> dict[str, float]:
        return {f"recall@{k}": 0.7 + 0.01 * k for k in self.k_list}


# ---- nodes ----


@node(output_name="passages")
def load_passages(corpus_path: str) -> list[dict]:
    return [{"uuid": f"p{i}", "text": f"passage {i}"} for i in range(5)]


@node(output_name="queries")
def load_queries(examples_path: str) -> list[dict]:
    return [{"uuid": f"q{i}", "text": f"query {i}"} for i in range(2)]


@node(output_name="ground_truths")
def load_ground_truths(examples_path: str) -> list[dict]:
    return [{"query_uuid": f"q{i}", "paragraph_uuid": f"p{i}", "label_score": 1} for i in range(2)]


@node(output_name="encoded_passage")
def encode_passage(passage: dict, encoder: ColBERTEncoder) -> dict:
    return {"uuid": passage["uuid"], "embedding": encoder.encode(passage["text"], is_query=False)}


@node(output_name="encoded_query")
def encode_query(query: dict, encoder: ColBERTEncoder) -> dict:
    return {**query, "embedding": encoder.encode(query["text"], is_query=True)}


@node(output_name="vector_index")
def build_vector_index(encoded_passages: list, index_folder: str, index_name: str, override: bool) -> PLAIDIndex:
    return PLAIDIndex(encoded_passages, index_folder, index_name, override)


@node(output_name="bm25_index")
def build_bm25_index(passages: list) -> BM25IndexImpl:
    return BM25IndexImpl(passages)


@node(output_name="passage_lookup")
def build_passage_lookup(encoded_passages: list) -> dict:
    return {p["uuid"]: p for p in encoded_passages}


@node(output_name="query")
def extract_query(encoded_query: dict) -> dict:
    return {"uuid": encoded_query["uuid"], "text": encoded_query["text"]}


@node(output_name="colbert_hits")
def retrieve_colbert(encoded_query: dict, vector_index: PLAIDIndex, top_k: int) -> list[dict]:
    return vector_index.search(encoded_query["embedding"], k=top_k)


@node(output_name="bm25_hits")
def retrieve_bm25(query: dict, bm25_index: BM25IndexImpl, top_k: int) -> list[dict]:
    return bm25_index.search(query["text"], k=top_k)


@node(output_name="fused_hits")
def fuse_results(colbert_hits: list, bm25_hits: list, rrf: RRFFusion) -> list[dict]:
    return rrf.fuse([colbert_hits, bm25_hits])


@node(output_name="reranked_hits")
def rerank_results(
    query: dict, fused_hits: list, encoder: ColBERTEncoder, passage_lookup: dict, rerank_k: int
) -> list[dict]:
    return ColBERTReranker(encoder, passage_lookup).rerank(query, fused_hits, rerank_k)


@node(output_name="predictions")
def hits_to_predictions(reranked_hits: list, query: dict) -> list[dict]:
    return [{"query_uuid": query["uuid"], "paragraph_uuid": hit["id"], "score": hit["score"]} for hit in reranked_hits]


@node(output_name="all_predictions")
def flatten_predictions(all_query_predictions: list) -> list[dict]:
    return [prediction for predictions in all_query_predictions for prediction in predictions]


@node(output_name="ndcg_score")
def compute_ndcg(all_predictions: list, ground_truths: list, ndcg_evaluator: NDCGEvaluator) -> float:
    return ndcg_evaluator.compute(all_predictions, ground_truths)


@node(output_name="recall_metrics")
def compute_recall(all_predictions: list, ground_truths: list, recall_evaluator: RecallEvaluator) -> dict:
    return recall_evaluator.compute(all_predictions, ground_truths)


@node(output_name="evaluation_results")
def combine_evaluation_results(ndcg_score: float, recall_metrics: dict, ndcg_k: int) -> dict:
    return {"ndcg": ndcg_score, "ndcg_k": ndcg_k, **recall_metrics}


# ---- the graph ----


def mapped(pipeline: Pipeline, name: str, row: str, rows: str, made: str, all_made: str):
    """The pipeline as a node: `rows` one at a time as `row`, and what is `made` of each collected."""
    return pipeline.as_node(
        input_mapping={rows: row}, output_mapping={made: all_made}, map_over=rows, name=f"{name}_mapped"
    )


def hebrew_retrieval(engine: Any) -> Pipeline:
    retrieve_single_query = Pipeline(
        nodes=[extract_query, retrieve_colbert, retrieve_bm25, fuse_results, rerank_results, hits_to_predictions],
        name="retrieve_single_query",
    )
    passages = Pipeline(nodes=[encode_passage], name="encode_passage")
    queries = Pipeline(nodes=[encode_query], name="encode_query")
    nodes = [
        load_passages,
        load_queries,
        load_ground_truths,
        mapped(passages, "encode_passages", "passage", "passages", "encoded_passage", "encoded_passages"),
        build_vector_index,
        build_bm25_index,
        build_passage_lookup,
        mapped(queries, "encode_queries", "query", "queries", "encoded_query", "encoded_queries"),
        mapped(
            retrieve_single_query,
            "retrieve_queries",
            "encoded_query",
            "encoded_queries",
            "predictions",
            "all_query_predictions",
        ),
        flatten_predictions,
        compute_ndcg,
        compute_recall,
        combine_evaluation_results,
    ]
    return Pipeline(nodes=nodes, engine=engine, name="hebrew_retrieval")


def inputs() -> dict[str, Any]:
    return {
        "corpus_path": "mock_corpus.parquet",
        "examples_path": "mock_examples.parquet",
        "encoder": ColBERTEncoder("lightonai/GTE-ModernColBERT-v1", trust_remote_code=True),
        "rrf": RRFFusion(k=500),
        "ndcg_evaluator": NDCGEvaluator(k=20),
        "recall_evaluator": RecallEvaluator(RECALL_AT),
        "index_folder": "pylate-index",
        "index_name": "sample_1_index",
        "override": True,
        "top_k": 500,
        "rerank_k": 500,
        "ndcg_k": 20,
    }


class Log(PipelineCallback):
    """Prints the outer nodes as they end, and batches."""

    def on_node_end(self, node_id, outputs, duration, ctx):
        if ctx.depth == 1:
            print(f"ran {node_id}")

    def on_batch(self, name, rows, ctx):
        print(f"batch of {rows}: {name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    engines = {
        "sequential": lambda: ht.SequentialEngine(callbacks=[Log()]),
        "threads": lambda: ht.ThreadEngine(2, callbacks=[Log()]),
        "processes": lambda: ht.ProcessEngine(2, callbacks=[Log()]),
        "dask": lambda: ht.DaskEngine(num_workers=2, callbacks=[Log()]),
        "daft": lambda: ht.DaftEngine(callbacks=[Log()]),
    }
    parser.add_argument("--engine", choices=tuple(engines), default="sequential")
    parser.add_argument("--output", help="only this one, and the nodes that it needs")
    args = parser.parse_args()
    given = inputs()
    wanted = [args.output] if args.output else ["evaluation_results", "all_predictions"]
    results = hebrew_retrieval(engines[args.engine]()).run(inputs=given, output_name=wanted)
    for name in wanted:
        print(f"{name}: {json.dumps(results[name])}")
    did = ht.stats(given["encoder"])
    calls = f"{did['row_calls']} row calls, {did['batch_calls']} batch calls of {did['batch_rows']} rows"
    print(f"encoder: {did['objects']} object, {calls}")


if __name__ == "__main__":
    main()
