"""`DaftEngine.generate_code`: a script with Daft alone gives what the engine gives (case 43)."""

from __future__ import annotations

import asyncio
import importlib.util
import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import houndstooth as ht
import pytest
from houndstooth import DataType, DualNode, Pipeline, Series, node

ROOT = Path(__file__).resolve().parents[2]
SCALE = 10


def helper(x: float) -> float:
    return math.sqrt(x) * SCALE


@dataclass
class Point:
    x: float
    tags: list[str]


@ht.cls(max_concurrency=2)
class Encoder:
    def __init__(self, name: str, width: int = 2):
        self.name, self.width = name, width

    def encode(self, text: str) -> list[int]:
        return [len(text)] * self.width

    @ht.method.batch(return_dtype=DataType.python())
    def encode_batch(self, texts: Series) -> Series:
        return Series.from_pylist([[len(text)] * self.width for text in texts.to_pylist()])


@node(output_name="root")
def take_root(x: float) -> float:
    return helper(x)


@node(output_name=("low", "high"))
def span(root, margin=0.5):
    return root - margin, root + margin


@node(output_name="embedding")
def embed(text: str, encoder: Encoder) -> list[int]:
    return encoder.encode(text)


@node(output_name="waited")
async def wait(embedding):
    await asyncio.sleep(0.001)
    return sum(embedding)


@node(output_name="total")
def add(waited_all: list[int], point: Point) -> float:
    return sum(waited_all) + point.x + len(point.tags)


def double_one(v, by):
    return v * by


def double_many(v, by):
    return [x * by for x in v.to_pylist()]


doubled = DualNode("doubled", double_one, double_many)


@node(output_name="pair")
def pair(a, b):
    return {"a": a, "b": [b]}


@node(output_name="n")
def count(pairs):
    return len(pairs)


def write(tmp_path: Path, *args: Any, **kwargs: Any) -> Path:
    file = tmp_path / "script.py"
    file.write_text(ht.DaftEngine().generate_code(*args, **kwargs))
    return file


def load(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location("script_of_a_pipeline", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def alone(file: Path) -> str:
    """What it prints where houndstooth cannot be imported."""
    stop = "import runpy, sys; sys.modules['houndstooth'] = None; runpy.run_path(sys.argv[1], run_name='__main__')"
    command = [sys.executable, "-W", "ignore", "-c", stop, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr
    return done.stdout


def graph() -> tuple[Pipeline, dict[str, Any]]:
    """Nested maps, tuples, defaults, bound inputs, objects, coroutines."""
    inner = Pipeline([embed, wait], name="encode each").bind(encoder=Encoder("m", width=3))
    nested = inner.as_node(
        input_mapping={"texts": "text"}, output_mapping={"waited": "waited_all"}, map_over="texts", name="encode all"
    )
    inputs = {"x": 4.0, "texts": ["a", "bb", "ccc"], "point": Point(1.5, ["t"])}
    return Pipeline([take_root, span, nested, add], name="graph"), inputs


def test_case_43_a_script_of_a_run_matches_the_engine(peer, tmp_path):
    peer("daft")
    pipeline, inputs = graph()
    want = pipeline.run(inputs, engine=ht.DaftEngine())
    file = write(tmp_path, pipeline, inputs)
    assert (
        eval(alone(file)) == want == {"root": 20.0, "low": 19.5, "high": 20.5, "waited_all": [3, 6, 9], "total": 20.5}
    )
    text = file.read_text()
    assert "houndstooth" not in text.split('"""')[2] and "daft.func" in text and "SCALE = 10" in text


def test_case_43_a_script_of_a_map_matches_the_engine(peer, tmp_path):
    peer("daft")
    inner = Pipeline([pair], name="pairs")
    pairs = inner.as_node(input_mapping={"bs": "b"}, output_mapping={"pair": "pairs"}, map_over=["bs"], name="inner")
    pipeline = Pipeline([take_root, span, doubled, pairs, count], name="rows")
    inputs = {"x": [1.0, 4.0, 9.0], "v": [1, 2, 3], "by": 5, "a": "s", "bs": [1, 2]}
    want = pipeline.map(inputs, map_over=["x", "v"], engine=ht.DaftEngine())
    file = write(tmp_path, pipeline, inputs, mode="map", map_over=["x", "v"])
    assert eval(alone(file)) == want
    assert [row["doubled"] for row in want] == [5, 10, 15] and want[0]["n"] == 2


@pytest.mark.parametrize("mode", ["zip", "product"])
def test_maps_in_maps_and_both_modes(peer, tmp_path, mode):
    peer("daft")
    inner = Pipeline([pair], name="pairs")
    middle = Pipeline([inner.as_node(map_over=["a", "b"], map_mode=mode, name="each"), count_of], name="middle")
    outer = Pipeline([middle.as_node(input_mapping={"many": "a"}, map_over="many", name="outer")], name="top")
    inputs = {"many": [[1, 2], [3, 4], [5, 6]], "b": [7, 8]}
    want = outer.run(inputs)
    script = load(write(tmp_path, outer, inputs))
    assert script.run(**script.INPUTS) == want
    assert want["size"] == [2 if mode == "zip" else 4] * 3
    assert script.run(many=[], b=[]) == outer.run({"many": [], "b": []}) == {"pair": [], "size": []}


@node(output_name="size")
def count_of(pair):
    return len(pair)


def test_the_mock_retrieval_graph(peer, tmp_path):
    peer("daft")
    spec = importlib.util.spec_from_file_location("retrieval_mock", ROOT / "examples/retrieval_mock.py")
    mock = importlib.util.module_from_spec(spec)
    sys.modules["retrieval_mock"] = mock
    spec.loader.exec_module(mock)
    pipeline, inputs = mock.hebrew_retrieval(ht.SequentialEngine()), mock.inputs()
    want = pipeline.run(inputs, output_name=["all_predictions", "evaluation_results"])
    script = load(write(tmp_path, pipeline, inputs))
    made = script.run(**script.INPUTS)
    assert {name: made[name] for name in want} == want


def test_without_inputs_it_is_a_function(peer, tmp_path):
    peer("daft")
    pipeline, inputs = graph()
    script = load(write(tmp_path, pipeline))
    assert not hasattr(script, "INPUTS")
    assert script.run(**inputs)["total"] == 20.5
    with pytest.raises(TypeError, match="point"):
        script.run(x=1.0, texts=[])


def test_what_cannot_be_written_is_told(peer):
    peer("daft")
    engine = ht.DaftEngine()
    with pytest.raises(ValueError, match="has no source that stands alone"):
        engine.generate_code(Pipeline([node(output_name="y")(lambda x: x)]))
    with pytest.raises(ValueError, match="'x' is a object, which cannot be written"):
        engine.generate_code(Pipeline([take_root]), {"x": object()})
    with pytest.raises(ValueError, match="mode is 'run' or 'map', not 'all'"):
        engine.generate_code(Pipeline([take_root]), mode="all")

    @node(output_name="z")
    def helper(root):
        return root

    with pytest.raises(ValueError, match="two things are called 'helper'"):
        engine.generate_code(Pipeline([take_root, helper]))
