"""What the encoder peers share: the same texts, cut to the same tokens, in batches as each engine likes them best."""

from __future__ import annotations

import argparse
import json
import pathlib
import time
from collections.abc import Callable, Iterator

import numpy as np
from tokenizers import Tokenizer

# Padding is computed too, so texts are sorted by length and a batch holds at most so many padded tokens.
BATCH_TOKENS = (512, 2048, 8192)
PASSES = 2
MAX_TOKENS = 256

Forward = Callable[[np.ndarray, np.ndarray], object]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--corpus", type=pathlib.Path, required=True, help="BEIR corpus.jsonl")
    parser.add_argument("--queries", type=pathlib.Path, required=True, help="BEIR queries.jsonl")
    parser.add_argument("--every", type=int, default=8, help="take every n-th document")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--work", type=pathlib.Path, required=True, help="folder for what is made once")
    return parser.parse_args()


def texts_of(corpus: pathlib.Path, every: int) -> list[str]:
    """Title and text of every n-th document, a title repeated at the head of the text once."""
    texts = []
    with corpus.open(encoding="utf-8") as lines:
        for line in list(lines)[::every]:
            row = json.loads(line)
            title, text = (row.get("title") or "").strip(), row["text"].strip()
            texts.append(text if not title or text.startswith(title) else f"{title} {text}".strip())
    return texts


def token_ids(args: argparse.Namespace) -> tuple[list[list[int]], list[list[int]]]:
    """Ids of the documents and of up to 60 queries."""
    tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    with args.queries.open(encoding="utf-8") as lines:
        queries = [json.loads(line)["text"] for line in lines][:60]
    documents = texts_of(args.corpus, args.every)
    return [e.ids for e in tokenizer.encode_batch(documents)], [e.ids for e in tokenizer.encode_batch(queries)]


def batches(ids: list[list[int]], batch_tokens: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Padded ids and masks [n, longest], longest texts first."""
    order = sorted(ids, key=len, reverse=True)
    at = 0
    while at < len(order):
        longest = len(order[at])
        n = max(1, batch_tokens // longest)
        rows = order[at : at + n]
        padded = np.zeros((len(rows), longest), np.int64)
        mask = np.zeros_like(padded)
        for i, row in enumerate(rows):
            padded[i, : len(row)] = row
            mask[i, : len(row)] = 1
        yield padded, mask
        at += n


def report(args: argparse.Namespace, engine: str, forward: Forward) -> None:
    """Times the engine at each batch size and prints its best as JSON lines; tokens/s counts true tokens."""
    ids, queries = token_ids(args)
    n_tokens = sum(map(len, ids))
    best: tuple[float, int] = (0.0, 0)
    for batch_tokens in BATCH_TOKENS:
        made = list(batches(ids, batch_tokens))
        for padded, mask in made[:2]:
            forward(padded, mask)
        for _ in range(PASSES):
            start = time.perf_counter()
            for padded, mask in made:
                forward(padded, mask)
            best = max(best, (n_tokens / (time.perf_counter() - start), batch_tokens))
    times = []
    for _ in range(2):
        times = []
        for row in queries:
            start = time.perf_counter()
            forward(np.array([row], np.int64), np.ones((1, len(row)), np.int64))
            times.append(time.perf_counter() - start)
    about = f"{args.precision}, {args.threads} thread{'s' if args.threads > 1 else ''}"
    line = {"bench": "encode", "name": f"{about}: tokens/s", "value": round(best[0]), "unit": "1/s"}
    print(json.dumps({**line, "engine": engine, "batch_tokens": best[1]}))
    line = {"bench": "encode", "name": f"{about}: query p50", "value": round(1e3 * float(np.median(times)), 3)}
    print(json.dumps({**line, "unit": "ms", "engine": engine}), flush=True)
