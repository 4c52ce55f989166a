"""The guide's programs as checks (tests/python/programs), whole, on every engine."""

# ctest: timeout=300
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"


def _run(program: str, *arguments: str) -> str:
    import houndstooth

    package = str(Path(houndstooth.__file__).parent.parent)
    command = [sys.executable, "-W", "ignore", str(PROGRAMS / program), "--module", "houndstooth", *arguments]
    environment = {**os.environ, "PYTHONPATH": package}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("variant", ["row", "batch"])
@pytest.mark.parametrize("engine", ["seq", "ThreadEngine", "ProcessEngine", "dask", "daft"])
def test_the_retrieval_graph_with_mock_components(peer, engine, variant):
    if engine in ("dask", "daft"):
        peer(engine)
    cases = "structure evaluation predictions pruning full encoder_calls missing_input pruned_inputs_waived".split()
    if engine == "ProcessEngine" and variant == "row":
        cases.remove("encoder_calls")  # calls are counted in this process, and made in others
    told = _run("seed_pipeline.py", "--engine", engine, "--variant", variant, "--case", *cases)
    assert told.count("ok ") == len(cases)


def test_class_udfs_strict_in_order():
    assert _run("seed_batch_udf.py", "--strict-order").count("ok ") == 17
