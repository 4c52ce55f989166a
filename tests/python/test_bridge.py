"""C programs on clusters: `hound run` with the engines dask and daft, one worker killed in the middle."""

# ctest: timeout=300
from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BM25 = "examples/bm25.yaml"


def _environment() -> dict[str, str]:
    import houndstooth

    package = str(Path(houndstooth.__file__).parent.parent)
    return {**os.environ, "HOUND_PYTHON": sys.executable, "PYTHONPATH": package}


def _hound() -> str:
    import houndstooth

    built = Path(houndstooth.__file__).parent.parent.parent / "hound"
    assert built.exists(), f"{built} is not built"
    return str(built)


def _run(*arguments: str) -> str:
    done = subprocess.run(
        [_hound(), "run", *arguments], cwd=ROOT, env=_environment(), capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def cluster(peer):
    distributed = peer("distributed")
    for name in ("PYTHONPATH", "HOUND_PYTHON"):
        os.environ[name] = _environment()[name]
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster as made:
        yield made.scheduler_address


def test_bm25_on_a_dask_cluster(cluster):
    address = cluster
    here = _run(BM25, "--output", "all_predictions", "--json")
    there = _run(
        BM25, "--output", "all_predictions", "--json", "--engine", "dask", "--address", address, "--workers", "2"
    )
    assert here == there  # to the last byte


def test_the_retrieval_graph_with_a_worker_killed_in_the_middle(peer):
    """examples/guide/clusters.py: the kill falls while both workers have slices under way, and none comes back."""
    peer("distributed")
    command = [sys.executable, "-W", "ignore", ROOT / "examples/guide/clusters.py", "--json", "--hound", _hound()]
    small = ["--model", ROOT / "tests/data/golden/bert_tiny", "--data", ROOT / "tests/data/cacm"]
    ways = ["c_here", "c_dask_killed", "python_dask"]
    done = subprocess.run(
        [*command, *small, "--only", ",".join(ways)], env=_environment(), capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(done.stdout)
    assert [row["way"] for row in rows] == ways and all(row["same"] for row in rows)
    assert rows[0]["figures"]["recall@100"] > 0.5  # of a toy model: there are figures to compare


@pytest.mark.parametrize("runner", ["native", "ray"])
def test_bm25_on_daft(peer, runner):
    peer("daft")
    if runner == "ray":
        peer("ray")
    here = _run(BM25, "--output", "all_predictions", "--json")
    assert here == _run(
        BM25, "--output", "all_predictions", "--json", "--engine", "daft", "--runner", runner, "--workers", "1"
    )


def test_what_is_wrong_is_told():
    done = subprocess.run(
        [_hound(), "run", BM25, "--address", "tcp://127.0.0.1:1"],
        cwd=ROOT, env=_environment(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--address goes with --engine dask" in done.stderr
