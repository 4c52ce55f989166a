"""The whole retrieval graph in Python: thirteen nodes, an inner pipeline of six, on a real collection.

    retrieval.py [--model NAME] [--data FOLDER] [--engine sequential|threads] [--top-k K]

Nodes are written for one passage or query. Their calls of the encoder, the indexes and the reranker meet in batches by
themselves: 1,400 passages are encoded in 22 calls. The figures are those of `hound run examples/retrieval.yaml`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time

import houndstooth as ht
from houndstooth import Pipeline, node

# ---- loading ----


@node(output_name="passages")
def load_passages(corpus_path):
    return ht.read_corpus(corpus_path)


@node(output_name="queries")
def load_queries(queries_path):
    return ht.read_queries(queries_path)


@node(output_name="ground_truths")
def load_ground_truths(qrels_path):
    return ht.read_qrels(qrels_path)


# ---- encoding, one at a time ----


@node(output_name="encoded_passage")
def encode_passage(passage, encoder):
    return {"uuid": passage["uuid"], "text": passage["text"], "embedding": encoder.encode(passage, is_query=False)}


@node(output_name="encoded_query")
def encode_query(query, encoder):
    return {"uuid": query["uuid"], "text": query["text"], "embedding": encoder.encode(query["text"], is_query=True)}


# ---- indexes ----


@node(output_name="vector_index", cache=False)
def build_vector_index(encoded_passages, index_folder, index_name, override):
    return ht.PLAIDIndex(encoded_passages, index_folder, index_name, override)


@node(output_name="bm25_index")
def build_bm25_index(passages):
    return ht.BM25Index(passages)


@node(output_name="passage_lookup")
def build_passage_lookup(encoded_passages):
    return {passage["uuid"]: passage for passage in encoded_passages}


# ---- one query ----


@node(output_name="query")
def extract_query(encoded_query):
    return {"uuid": encoded_query["uuid"], "text": encoded_query["text"]}


@node(output_name="colbert_hits")
def retrieve_colbert(encoded_query, vector_index, top_k):
    return vector_index.search(encoded_query["embedding"], top_k)


@node(output_name="bm25_hits")
def retrieve_bm25(query, bm25_index, top_k):
    return bm25_index.search(query["text"], top_k)


@node(output_name="fused_hits")
def fuse_results(colbert_hits, bm25_hits, rrf):
    return rrf.fuse([colbert_hits, bm25_hits])


@node(output_name="reranked_hits")
def rerank_results(query, fused_hits, encoder, passage_lookup, rerank_k):
    reranker = ht.ColBERTReranker(encoder, passage_lookup)  # the same one for every query
    return reranker.rerank(query, fused_hits, rerank_k)


@node(output_name="predictions")
def hits_to_predictions(query, reranked_hits):
    return [{"query_uuid": query["uuid"], "paragraph_uuid": hit["id"], "score": hit["score"]} for hit in reranked_hits]


# ---- judging ----


@node(output_name="all_predictions")
def flatten_predictions(all_query_predictions):
    return [prediction for predictions in all_query_predictions for prediction in predictions]


@node(output_name="ndcg_score")
def compute_ndcg(all_predictions, ground_truths, ndcg_evaluator):
    return ndcg_evaluator.compute(all_predictions, ground_truths)


@node(output_name="recall_metrics")
def compute_recall(all_predictions, ground_truths, recall_evaluator):
    return recall_evaluator.compute(all_predictions, ground_truths)


@node(output_name="evaluation_results")
def combine_evaluation_results(ndcg_score, recall_metrics, ndcg_k):
    return {"ndcg": ndcg_score, "ndcg_k": ndcg_k, **recall_metrics}


def build(engine=None) -> Pipeline:
    """The graph; its encoder, fusion and evaluators are inputs."""
    encode_passages = Pipeline([encode_passage], name="encode_passages").as_node(
        input_mapping={"passages": "passage"},
        output_mapping={"encoded_passage": "encoded_passages"},
        map_over="passages",
    )
    encode_queries = Pipeline([encode_query], name="encode_queries").as_node(
        input_mapping={"queries": "query"}, output_mapping={"encoded_query": "encoded_queries"}, map_over="queries"
    )
    retrieve = [extract_query, retrieve_colbert, retrieve_bm25, fuse_results, rerank_results, hits_to_predictions]
    retrieve_queries = Pipeline(retrieve, name="retrieve_queries").as_node(
        input_mapping={"encoded_queries": "encoded_query"},
        output_mapping={"predictions": "all_query_predictions"},
        map_over="encoded_queries",
    )
    load = [load_passages, load_queries, load_ground_truths, encode_passages, encode_queries]
    index = [build_vector_index, build_bm25_index, build_passage_lookup]
    judge = [flatten_predictions, compute_ndcg, compute_recall, combine_evaluation_results]
    return Pipeline([*load, *index, retrieve_queries, *judge], engine=engine, name="retrieval")


def inputs_of(model: str, data: str, folder: str, top_k: int = 100) -> dict:
    return {
        "corpus_path": f"{data}/corpus.jsonl",
        "queries_path": f"{data}/queries.jsonl",
        "qrels_path": f"{data}/qrels/test.tsv",
        "encoder": ht.ColBERTEncoder(model, trust_remote_code=True),
        "rrf": ht.RRFFusion(k=60),
        "ndcg_evaluator": ht.NDCGEvaluator(10),
        "recall_evaluator": ht.RecallEvaluator([20, 50, 100]),
        "index_folder": folder,
        "index_name": "index",
        "override": True,
        "top_k": top_k,
        "rerank_k": top_k,
        "ndcg_k": 10,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--data", default="data/cranfield")
    parser.add_argument("--engine", choices=("sequential", "threads"), default="sequential")
    parser.add_argument("--top-k", type=int, default=100)
    args = parser.parse_args()
    engine = ht.ThreadEngine(2) if args.engine == "threads" else ht.SequentialEngine()
    with tempfile.TemporaryDirectory() as folder:
        inputs = inputs_of(args.model, args.data, folder, args.top_k)
        start = time.perf_counter()
        results = build(engine).run(inputs, output_name="evaluation_results")["evaluation_results"]
        seconds = time.perf_counter() - start
    print(json.dumps(results))
    print(f"{seconds:.1f} s; encoder: {ht.stats(inputs['encoder'])}")


if __name__ == "__main__":
    main()
