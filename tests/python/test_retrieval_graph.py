"""The guide's graph of thirteen nodes on CACM: the figures of `hound run`, batched, and encoding without the GIL."""

# ctest: serial
# ctest: timeout=600
from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import houndstooth as ht
import pytest

from engines_fixture import engine_of

ROOT = Path(__file__).resolve().parents[2]
HOUND = os.environ.get("HOUND", str(ROOT / "build/release/hound"))
MODEL = str(ROOT / "tests/data/golden/bert_tiny")
CACM = str(ROOT / "tests/data/cacm")


@pytest.fixture(scope="module")
def graph():
    spec = importlib.util.spec_from_file_location("retrieval_graph", ROOT / "examples/guide/retrieval.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """What `hound run examples/retrieval.yaml` says of this corpus and model."""
    folder = tmp_path_factory.mktemp("hound")
    text = (ROOT / "examples/retrieval.yaml").read_text().replace("model: default", f"model: {MODEL}")
    text = text.replace("data/cranfield", CACM).replace("build/indexes", str(folder))
    (folder / "graph.yaml").write_text(text)
    said = subprocess.run([HOUND, "run", folder / "graph.yaml", "--json"], capture_output=True, check=True)
    return json.loads(said.stdout)["evaluation_results"]


@pytest.mark.parametrize("name", ["sequential", "threads"])
def test_the_figures_are_those_of_hound(graph, figures, name, tmp_path) -> None:
    inputs = graph.inputs_of(MODEL, CACM, str(tmp_path))
    results = graph.build(engine_of(name)).run(inputs, output_name="evaluation_results")
    assert results["evaluation_results"] == pytest.approx(figures, abs=1e-9)
    stats = ht.stats(inputs["encoder"])
    # Passages and queries in batches, and the queries again by the reranker.
    assert stats["objects"] == 1 and stats["row_calls"] == 0 and stats["batch_rows"] == 3204 + 64 + 64
    assert stats["batch_calls"] < 70


def test_two_threads_encode_side_by_side() -> None:
    """Short calls begin and end within a long one of the same encoder: neither the interpreter's lock nor one of the
    model's is held. Counted, not timed, so that a busy machine changes nothing."""
    encoder = ht.ColBERTEncoder.__wrapped__(MODEL, threads=1)
    texts = ["heat transfer of a slender body in supersonic flow " * 20] * 64  # one batch, 20 ms
    short: list[tuple[float, float]] = []
    done = threading.Event()

    def encode_short() -> None:
        while not done.is_set() and len(short) < 300_000:
            start = time.perf_counter()
            encoder.encode("heat")
            short.append((start, time.perf_counter()))

    thread = threading.Thread(target=encode_short)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(100)  # nobody is made to let go: only who encodes does
    thread.start()
    long = []
    for _ in range(30):
        start = time.perf_counter()
        encoder.encode_pooled(texts)
        long.append((start, time.perf_counter()))
    done.set()
    thread.join()
    sys.setswitchinterval(interval)
    within = [sum(a < c and d < b for c, d in short) for a, b in long]
    assert sum(n >= 3 for n in within) > 10, within
