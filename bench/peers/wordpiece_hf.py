"""MB/s of the Hugging Face tokenizers library on Cranfield's texts, one thread: the better of single calls and batches.

Prints one number, for bench_text.
"""

from __future__ import annotations

import json
import os
import pathlib
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import Tokenizer  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main() -> None:
    lines = (ROOT / "data/cranfield/corpus.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    tokenizer = Tokenizer.from_file(str(ROOT / "tests/data/golden/tokenizers/minilm/tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    size = sum(len(text.encode()) for text in texts)
    best = float("inf")
    for _ in range(3):
        for run in (lambda: [tokenizer.encode(text) for text in texts], lambda: tokenizer.encode_batch_fast(texts)):
            start = time.perf_counter()
            run()
            best = min(best, time.perf_counter() - start)
    print(size / best / 1e6)


if __name__ == "__main__":
    main()
