"""Each of the guide's programs in Python beside its twin in C: the same results, counts and messages."""

# ctest: timeout=300
from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import houndstooth as ht
import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("HOUND", str(ROOT / "build/release/hound"))).parent
MODEL = str(ROOT / "tests/data/golden/bert_tiny")


def told(*command: object) -> str:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def in_c(tmp_path_factory) -> Callable[..., str]:
    """Compiles a program of examples/ and runs it."""
    folder = tmp_path_factory.mktemp("twins")

    def run(name: str, *arguments: str) -> str:
        program = folder / Path(name).name
        flags = ["-std=c11", "-D_GNU_SOURCE", "-O2", f"-I{ROOT / 'examples'}", f"-I{ROOT / 'include'}"]
        libraries = [f"-L{BUILD}", f"-Wl,-rpath,{BUILD}", "-lhoundstooth", "-lm", "-pthread"]
        if not program.exists():
            told("cc", *flags, ROOT / "examples" / f"{name}.c", "-o", program, *libraries)
        return told(program, *arguments)

    return run


def in_python(name: str, *arguments: str) -> str:
    return told(sys.executable, "-W", "error", ROOT / "examples" / f"{name}.py", *arguments)


@pytest.mark.parametrize(
    ("theirs", "ours", "arguments"),
    [
        ("01_encoder", "01_encoder", ["100"]),
        ("02_predict", "02_predict", ["50000"]),
        ("03_fetch", "03_fetch", ["50"]),
        ("04_index", "04_index", ["30"]),
        ("05_encode", "05_encode", ["--model", MODEL, "40"]),
        ("06_plain_struct", "06_plain_class", ["200"]),
    ],
)
def test_a_program_gives_what_its_twin_gives(peer, in_c, theirs, ours, arguments) -> None:
    peer("dask"), peer("daft")  # 05 and 06 run on every engine whose system is there
    c = json.loads(in_c(f"guide/{theirs}", "--json", *arguments))
    python = json.loads(in_python(f"guide/{ours}", "--json", *arguments))
    assert c["same"] is python["same"] is True
    assert python["rows"] == c["rows"]
    assert python["digest"] == pytest.approx(c["digest"], rel=1e-6) and c["digest"] != 0
    counts = [[{k: v for k, v in way.items() if k != "seconds"} for way in p.get("ways", ())] for p in (c, python)]
    assert counts[0] == counts[1]


def test_the_table_and_the_messages(peer) -> None:
    peer("dask"), peer("daft")
    table = in_python("guide/04_index", "10")
    assert "threads and two processes find the same" in table and "override=true replaces it" in table
    assert re.search(r"^automatic +1 +0 +1 ", table, re.MULTILINE) and table.endswith("results equal\n")
    assert "with a wrong token: http://127.0.0.1" in in_python("guide/03_fetch", "5")
    assert "5 engines give the same vectors" in in_python("guide/05_encode", "--model", MODEL, "20")
    lines = in_python("guide/06_plain_class", "50").splitlines()
    assert len(lines) == 5 and all(line.endswith("as it must be") for line in lines)
    assert "loaded here 1 times" in lines[0]  # the sequential engine's
    wrong = subprocess.run([sys.executable, ROOT / "examples/guide/01_encoder.py", "many"], capture_output=True)
    assert wrong.returncode == 2 and b"invalid int value" in wrong.stderr


def outputs(text: str) -> dict[str, object]:
    """The lines that show values, by their names."""
    return {
        k: json.loads(v) for k, v in re.findall(r"^(evaluation_results|all_predictions): (.*)$", text, re.MULTILINE)
    }


@pytest.mark.parametrize("engine", ["sequential", "threads", "processes", "dask", "daft"])
def test_the_mock_graph_is_that_of_c(peer, in_c, engine) -> None:
    if engine in ("dask", "daft"):
        peer(engine)
    c, python = in_c("retrieval_mock"), in_python("retrieval_mock", "--engine", engine)
    theirs, ours = outputs(c), outputs(python)
    assert ours["evaluation_results"] == theirs["evaluation_results"]
    predictions = ours["all_predictions"]
    assert [{"id": p["paragraph_uuid"], "score": p["score"]} for p in predictions] == theirs["all_predictions"]
    assert [p["query_uuid"] for p in predictions] == ["q0"] * 5 + ["q1"] * 5
    order = sorted if engine == "threads" else list  # there nodes that do not need each other run side by side
    steps = [line for line in c.splitlines() if line.startswith("ran ")]
    assert order(line for line in python.splitlines() if line.startswith("ran ")) == order(steps) and len(steps) == 13
    if engine in ("sequential", "threads"):
        batches = order(python.replace("__main__.", "mock.").splitlines()[:15])  # where they fire
        assert batches == order(c.splitlines()[:15])
        assert (
            python.splitlines()[-1] == c.splitlines()[-1] == "encoder: 1 object, 0 row calls, 2 batch calls of 7 rows"
        )


@pytest.mark.parametrize("output", ["bm25_index", "encoded_queries", "all_query_predictions"])
def test_the_mock_graph_prunes_as_c_does(in_c, output) -> None:
    if output == "bm25_index":  # an object, which has no JSON
        text = in_python("retrieval_mock", "--output", "passages")
        assert text.startswith("ran load_passages\npassages: ") and "0 batch calls" in text
        return
    ran = [
        [line for line in t.splitlines() if line.startswith("ran ")]
        for t in (in_c("retrieval_mock", "--output", output), in_python("retrieval_mock", "--output", output))
    ]
    assert ran[0] == ran[1] and 0 < len(ran[0]) < 13


def test_stats() -> None:
    @ht.cls
    class Doubler:
        def double(self, x):
            return 2 * x

        @ht.method.batch
        def double_batch(self, xs: list) -> list:
            return [2 * x for x in xs]

        async def slowly(self, x):
            return x

    doubler = Doubler()
    assert ht.stats(doubler) == {"objects": 0, "row_calls": 0, "batch_calls": 0, "batch_rows": 0, "starts": 0}
    assert doubler.double(1) == 2 and doubler.double_batch([1, 2, 3]) == [2, 4, 6]
    assert ht.stats(doubler) == {"objects": 1, "row_calls": 1, "batch_calls": 1, "batch_rows": 3, "starts": 0}
    frame = ht.from_pydict({"x": [1, 2, 3, 4]})
    frame.with_column("y", doubler.double_batch(ht.col("x"))).collect()
    assert ht.stats(doubler)["batch_rows"] == 7 and ht.stats(doubler)["batch_calls"] == 2
    with pytest.raises(TypeError, match="an instance of a decorated class is needed, not int"):
        ht.stats(1)
