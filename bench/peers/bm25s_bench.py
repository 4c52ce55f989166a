#!/usr/bin/env python3
"""bm25s with numba on a BEIR folder: the same lines as bench_lexical, for its --peer option.

usage: bm25s_bench.py FOLDER [--max-queries N] [--k1 .9] [--b .4]

One thread. Building counts tokenizing and indexing, not the reading of JSON. Each query runs three times;
p50 and p99 are over each query's best time, queries/s is the middle pass. Query times include tokenizing.
Needs (in a virtual environment of the bench): bm25s numba PyStemmer.
"""
import os

os.environ.update(NUMBA_NUM_THREADS="1", OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
import argparse
import json
import resource
import tempfile
import time

import bm25s
import Stemmer

PASSES, WARM_UP = 3, 30


def line(name: str, value: float, unit: str) -> None:
    record = {"bench": "lexical", "name": name, "value": value, "unit": unit, "peer": "bm25s+numba", "ratio": None}
    print(json.dumps(record), flush=True)


def read(path: str) -> list[dict]:
    with open(path, encoding="utf-8") as file:
        return [json.loads(text) for text in file]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--max-queries", type=int, default=1 << 60)
    parser.add_argument("--k1", type=float, default=0.9)
    parser.add_argument("--b", type=float, default=0.4)
    args = parser.parse_args()
    texts = [(d.get("title") or "") + "\n" + (d.get("text") or "") for d in read(f"{args.folder}/corpus.jsonl")]
    queries = [q["text"] for q in read(f"{args.folder}/queries.jsonl")][: args.max_queries]

    start = time.perf_counter()
    tokenizer = bm25s.tokenization.Tokenizer(stopwords="en", stemmer=Stemmer.Stemmer("english"))
    tokens = tokenizer.tokenize(texts, return_as="tuple", show_progress=False)
    index = bm25s.BM25(k1=args.k1, b=args.b, method="lucene", backend="numba")
    index.index(tokens, show_progress=False)
    n_docs = len(texts)
    line("build documents/s", n_docs / (time.perf_counter() - start), "1/s")
    del tokens, texts
    with tempfile.TemporaryDirectory() as folder:
        index.save(folder)
        sizes = [os.path.getsize(os.path.join(base, f)) for base, _, files in os.walk(folder) for f in files]
        line("index bytes", sum(sizes), "bytes")

    def search(query: str, k: int) -> None:
        ids = tokenizer.tokenize([query], update_vocab=False, return_as="ids", show_progress=False)
        if ids[0]:
            index.retrieve(ids, k=min(k, n_docs), show_progress=False, n_threads=0)

    for k in (10, 100, 1000):
        for query in queries[:WARM_UP]:
            search(query, k)
        best, passes = [float("inf")] * len(queries), []
        for _ in range(PASSES):
            total = 0.0
            for i, query in enumerate(queries):
                start = time.perf_counter()
                search(query, k)
                took = time.perf_counter() - start
                total += took
                best[i] = min(best[i], took)
            passes.append(total)
        best.sort()
        line(f"k={k} queries/s", len(queries) / sorted(passes)[PASSES // 2], "1/s")
        line(f"k={k} p50", best[len(best) // 2] * 1e6, "us")
        line(f"k={k} p99", best[len(best) * 99 // 100] * 1e6, "us")
    line("process peak memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "bytes")


if __name__ == "__main__":
    main()
