"""Hooks, their order, arguments and contexts, for runs, maps and nested pipelines."""

from __future__ import annotations

import gc
import sys
from typing import Any

import houndstooth as ht
import pytest
from houndstooth.callbacks import HOOKS, CallbackContext, PipelineCallback


class Recorder(PipelineCallback):
    """Every hook with its arguments, durations left out, and the context's depth and names of its pipelines."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.contexts: list[tuple[int, tuple[str, ...]]] = []
        self.durations: list[float] = []

    def note(self, hook: str, args: tuple[Any, ...]) -> None:
        *values, ctx = args
        if hook.endswith("_end"):
            self.durations.append(values.pop())
        names = tuple(ctx.get_pipeline_metadata(p)["pipeline_name"] for p in ctx.hierarchy_path)
        self.seen.append((hook.removeprefix("on_"), *values))
        self.contexts.append((ctx.depth, names))
        assert isinstance(ctx, CallbackContext)
        assert ctx.current_pipeline_id == ctx.hierarchy_path[-1]

    def names(self) -> list[str]:
        return [s[0] for s in self.seen]


def _hook(name: str):
    return lambda self, *args: self.note(name, args)


for _name in HOOKS:
    setattr(Recorder, _name, _hook(_name))


@ht.node(output_name="b")
def one(a):
    return a + 1


@ht.node(output_name="c")
def two(b):
    return b * 2


@ht.node(output_name="total")
def summed(cs):
    return sum(cs) if isinstance(cs, list) else cs


def inner() -> ht.Pipeline:
    return ht.Pipeline([one, two], name="inner")


def run_of(pipeline: ht.Pipeline, *callbacks: Any, **options: Any):
    return pipeline.with_engine(ht.SequentialEngine(callbacks=list(callbacks), **options))


def test_a_run() -> None:
    heard = Recorder()
    pipeline = run_of(inner(), heard)
    assert pipeline.run({"a": 1}) == {"b": 2, "c": 4}
    assert heard.seen == [
        ("pipeline_start", pipeline.id, {"a": 1}),
        ("node_start", "one", {"a": 1}),
        ("node_end", "one", {"b": 2}),
        ("node_start", "two", {"b": 2}),
        ("node_end", "two", {"c": 4}),
        ("pipeline_end", pipeline.id, {"b": 2, "c": 4}),
    ]
    assert heard.contexts == [(1, ("inner",))] * 6
    assert all(0 <= d < 10 for d in heard.durations)


def test_a_map_of_two_items_over_two_nodes() -> None:
    heard = Recorder()
    run_of(inner(), heard).map({"a": [1, 5]}, "a")
    item = ["pipeline_start", "node_start", "node_end", "node_start", "node_end", "pipeline_end"]
    assert heard.names() == [
        "map_start",
        *(["map_item_start", *item, "map_item_end"] * 2),
        "map_end",
    ]
    assert heard.seen[0] == ("map_start", 2)
    assert [s for s in heard.seen if s[0] == "map_item_start"] == [("map_item_start", 0), ("map_item_start", 1)]
    assert [s[2] for s in heard.seen if s[0] == "pipeline_start"] == [{"a": 1}, {"a": 5}]
    assert [s[2] for s in heard.seen if s[0] == "pipeline_end"] == [{"b": 2, "c": 4}, {"b": 6, "c": 12}]
    assert set(heard.contexts) == {(1, ("inner",))}


def test_an_empty_map() -> None:
    heard = Recorder()
    assert run_of(inner(), heard).map({"a": []}, "a") == []
    assert heard.seen == [("map_start", 0), ("map_end",)]


def test_a_nested_pipeline() -> None:
    heard = Recorder()
    nested = inner()
    node = nested.as_node(name="nest", input_mapping={"x": "a"}, output_mapping={"c": "cs"})
    outer = run_of(ht.Pipeline([node, summed], name="outer"), heard)
    assert outer.run({"x": 1}) == {"cs": 4, "total": 4}
    assert heard.seen == [
        ("pipeline_start", outer.id, {"x": 1}),
        ("node_start", "nest", {"x": 1}),
        ("nested_pipeline_start", outer.id, nested.id),
        ("pipeline_start", nested.id, {"a": 1}),
        ("node_start", "one", {"a": 1}),
        ("node_end", "one", {"b": 2}),
        ("node_start", "two", {"b": 2}),
        ("node_end", "two", {"c": 4}),
        ("pipeline_end", nested.id, {"c": 4}),
        ("nested_pipeline_end", outer.id, nested.id),
        ("node_end", "nest", {"cs": 4}),
        ("node_start", "summed", {"cs": 4}),
        ("node_end", "summed", {"total": 4}),
        ("pipeline_end", outer.id, {"cs": 4, "total": 4}),
    ]
    assert [d for d, _ in heard.contexts] == [1, 1, 1, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1]
    assert heard.contexts[3] == (2, ("outer", "inner"))


def test_a_nested_map() -> None:
    heard = Recorder()
    nested = inner()
    node = nested.as_node(name="nest", map_over="xs", input_mapping={"xs": "a"}, output_mapping={"c": "cs"})
    outer = run_of(ht.Pipeline([node, summed], name="outer"), heard)
    assert outer.run({"xs": [1, 5]}) == {"cs": [4, 12], "total": 16}
    item = ["map_item_start", "pipeline_start", *(["node_start", "node_end"] * 2), "pipeline_end", "map_item_end"]
    before = ["pipeline_start", "node_start", "nested_pipeline_start", "map_start"]
    after = ["map_end", "nested_pipeline_end", "node_end", "node_start", "node_end", "pipeline_end"]
    assert heard.names() == before + item * 2 + after
    assert [s[2] for s in heard.seen if s[:2] == ("pipeline_start", nested.id)] == [{"a": 1}, {"a": 5}]
    assert [d for d, _ in heard.contexts] == [1, 1, 1, 2, *[2] * 16, 2, 1, 1, 1, 1, 1]


def test_three_levels_and_two_uses_of_one_pipeline() -> None:
    heard = Recorder()
    shared = inner()
    middle = ht.Pipeline([shared.as_node(name="deep", map_over="a")], name="middle")
    first = middle.as_node(name="first", map_over="a", output_mapping={"c": "c1"})
    second = shared.as_node(name="second", input_mapping={"y": "a"}, output_mapping={"c": "c2"})
    outer = run_of(ht.Pipeline([first, second], name="outer"), heard)
    assert outer.run({"a": [[1, 2], []], "y": 7}) == {"c1": [[4, 6], []], "c2": 16}
    ones = [c for c, s in zip(heard.contexts, heard.seen, strict=True) if s[:2] == ("node_start", "one")]
    assert ones == [(3, ("outer", "middle", "inner"))] * 2 + [(2, ("outer", "inner"))]
    starts = [s[1] for s in heard.seen if s[0] == "map_start"]
    assert starts == [2, 2, 0]


def test_product_maps_tell_each_items_inputs() -> None:
    @ht.node(output_name="s")
    def add(x, y, z):
        return x + y + z

    heard = Recorder()
    run_of(ht.Pipeline([add]), heard).map({"z": 100, "x": [1, 2], "y": [10, 20, 30]}, ["x", "y"], "product")
    inputs = [s[2] for s in heard.seen if s[0] == "pipeline_start"]
    assert [(i["x"], i["y"], i["z"]) for i in inputs] == [(x, y, 100) for x in (1, 2) for y in (10, 20, 30)]
    assert [i["x"] + i["y"] + i["z"] for i in inputs] == [s[2]["s"] for s in heard.seen if s[0] == "pipeline_end"]


def test_an_error_is_told_and_the_pipeline_does_not_end() -> None:
    @ht.node(output_name="b")
    def bad(a):
        raise KeyError(a)

    heard = Recorder()
    pipeline = run_of(ht.Pipeline([bad, two]), heard)
    with pytest.raises(KeyError) as caught:
        pipeline.run({"a": 1})
    assert heard.names() == ["pipeline_start", "node_start", "error"]
    assert heard.seen[-1][1] == "bad"
    assert heard.seen[-1][2] is caught.value


def test_an_error_in_a_nested_pipeline() -> None:
    @ht.node(output_name="b")
    def bad(a):
        raise KeyError(a)

    heard = Recorder()
    outer = run_of(ht.Pipeline([ht.Pipeline([bad, two], name="inner").as_node(name="nest")], name="outer"), heard)
    with pytest.raises(KeyError):
        outer.run({"a": 1})
    errors = [(s[1], c) for s, c in zip(heard.seen, heard.contexts, strict=True) if s[0] == "error"]
    assert errors[0] == ("bad", (2, ("outer", "inner")))
    assert "pipeline_end" not in heard.names()


def test_collected_failures_end_their_items_without_a_pipeline_end() -> None:
    @ht.node(output_name="b")
    def bad(a):
        return 1 // a

    heard = Recorder()
    run_of(ht.Pipeline([bad]), heard).map({"a": [1, 0, 2]}, "a", errors="collect")
    assert [s[1] for s in heard.seen if s[0] == "map_item_end"] == [0, 1, 2]
    assert heard.names().count("pipeline_end") == 2
    assert heard.names()[-1] == "map_end"


def test_hits_of_a_cache() -> None:
    heard = Recorder()
    cache = ht.MemoryCache()
    pipeline = run_of(inner(), heard, cache=cache)
    pipeline.map({"a": [1, 2]}, "a")
    heard.seen.clear()
    pipeline.map({"a": [1, 3]}, "a")
    item = [s[0] for s in heard.seen]
    assert item == [
        "map_start",
        *("map_item_start", "pipeline_start", "node_cached", "node_cached", "pipeline_end", "map_item_cached"),
        *("map_item_start", "pipeline_start", "node_start", "node_end", "node_start", "node_end", "pipeline_end"),
        *("map_item_end", "map_end"),
    ]
    assert heard.seen[3] == ("node_cached", "one", one.code_hash)
    assert heard.seen[5][2] == {"b": 2, "c": 4}


def test_batches_are_told_and_items_alternate() -> None:
    @ht.cls
    class Doubler:
        def double(self, x):
            return 2 * x

        @ht.method.batch
        def double_batch(self, xs):
            return [2 * x for x in xs]

    @ht.node(output_name="d")
    def double(x, doubler):
        return doubler.double(x)

    heard = Recorder()
    made = run_of(ht.Pipeline([double], name="p"), heard).map({"x": [1, 2, 3], "doubler": Doubler()}, "x")
    assert [m["d"] for m in made] == [2, 4, 6]
    assert [s[2] for s in heard.seen if s[0] == "batch"] == [3]
    ends = [s[2] for s in heard.seen if s[0] == "pipeline_end"]
    assert ends == [{"d": 2}, {"d": 4}, {"d": 6}]


def test_the_context_is_one_for_the_run_and_has_metadata() -> None:
    found: list[Any] = []

    class Counter(PipelineCallback):
        def on_map_start(self, total_items, ctx):
            found.append(dict(ctx.metadata))
            ctx.set("n", 0)

        def on_node_end(self, node_id, outputs, duration, ctx):
            ctx.set("n", ctx.get("n") + 1)

        def on_map_end(self, total_duration, ctx):
            found.append(ctx.get("n"))
            found.append(ctx.get("nothing", "otherwise"))
            found.append(ctx.parent_pipeline_id)

    run_of(inner(), Counter()).map({"a": [1, 2, 3]}, "a")
    assert found[0] == {"total_nodes": 2, "pipeline_name": "inner", "node_ids": ["one", "two"]}
    assert found[1:] == [6, "otherwise", None]


def test_a_callback_that_raises_is_reported_once_and_ends_nothing(monkeypatch) -> None:
    class Broken(PipelineCallback):
        def on_node_start(self, node_id, inputs, ctx):
            raise KeyError(node_id)

    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: reported.append((told.exc_value, told.object)))
    heard = Recorder()
    broken = Broken()
    assert run_of(inner(), broken, heard).map({"a": [1, 2]}, "a") == [{"b": 2, "c": 4}, {"b": 3, "c": 6}]
    assert heard.names().count("node_start") == 4
    assert [repr(e) for e, _ in reported] == ["KeyError('one')"]
    assert reported[0][1] == broken.on_node_start


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interruption_in_a_callback_ends_the_run(error: type[BaseException]) -> None:
    class Stop(PipelineCallback):
        def on_node_end(self, node_id, outputs, duration, ctx):
            raise error

    ran: list[int] = []

    @ht.node(output_name="b")
    def note(a):
        ran.append(a)

    with pytest.raises(error):
        run_of(ht.Pipeline([note]), Stop()).map({"a": list(range(50))}, "a")
    assert len(ran) < 50


def test_supported_engines_are_checked_at_the_run() -> None:
    class Picky(PipelineCallback):
        @property
        def supported_engines(self):
            return ["DaftEngine"]

    pipeline = run_of(inner(), Picky())
    with pytest.raises(ValueError, match="Picky is not compatible with engine SeqEngine"):
        pipeline.run({"a": 1})

    class Here(Recorder):
        supported_engines = ("SeqEngine",)

    assert run_of(inner(), Here()).run({"a": 1})
    with pytest.raises(ValueError, match="Here is not compatible with engine ThreadEngine"):
        inner().run({"a": 1}, engine=ht.ThreadEngine(callbacks=[Here()]))


def test_a_run_that_is_refused_tells_nothing() -> None:
    heard = Recorder()
    with pytest.raises(ValueError, match="a"):
        run_of(inner(), heard).run({})
    assert heard.seen == []


def test_callbacks_of_a_nested_pipelines_engine_hear_what_is_inside() -> None:
    outside, inside = Recorder(), Recorder()
    nested = inner().with_engine(ht.SequentialEngine(callbacks=[inside]))
    outer = ht.Pipeline([nested.as_node(name="nest", map_over="a")], name="outer")
    assert outer.run({"a": [1]}, engine=ht.SequentialEngine(callbacks=[outside])) == {"b": [2], "c": [4]}
    assert inside.names() == [
        *("nested_pipeline_start", "map_start", "map_item_start", "pipeline_start"),
        *(["node_start", "node_end"] * 2),
        *("pipeline_end", "map_item_end", "map_end", "nested_pipeline_end"),
    ]
    assert "node_start" in outside.names()
    seen = len(inside.seen)
    outer.run({"a": [1]})  # the outer engine has none
    assert len(inside.seen) == 2 * seen


ENGINES = [
    lambda c: ht.ThreadEngine(2, callbacks=c),
    lambda c: ht.SequentialEngine(callbacks=c),
    lambda c: ht.ProcessEngine(2, callbacks=c),
    lambda c: ht.DaskEngine(callbacks=c),
]


@pytest.mark.parametrize("make", ENGINES, ids=["threads", "sequential", "processes", "dask"])
def test_many_items_on_every_engine(make, peer, request) -> None:
    if "dask" in request.node.name:
        peer("dask")
    heard = Recorder()
    nested = inner().as_node(name="nest", map_over="a")
    pipeline = ht.Pipeline([nested], name="outer")
    made = pipeline.map({"a": [[i] * 3 for i in range(20)]}, "a", engine=make([heard]))
    assert [m["b"] for m in made] == [[i + 1] * 3 for i in range(20)]
    names = heard.names()
    assert names.count("map_start") == 21
    assert names.count("map_item_start") == names.count("map_item_end") == 80
    assert names.count("pipeline_start") == names.count("pipeline_end") == 80
    depths = {c for c, s in zip(heard.contexts, heard.seen, strict=True) if s[0] == "node_start" and s[1] == "one"}
    assert depths == {(2, ("outer", "inner"))}
    items = [s[1] for s in heard.seen if s[0] == "map_item_start"]
    assert sorted(items) == sorted([*range(20), *[0, 1, 2] * 20])


def test_durations_in_another_process_are_those_that_it_took_there() -> None:
    @ht.node(output_name="b")
    def slow(a):
        import time

        time.sleep(0.05)
        return a

    took: list[float] = []

    class Durations(PipelineCallback):
        def on_node_end(self, node_id, outputs, duration, ctx):
            took.append(duration)

        def on_map_item_end(self, item_index, duration, ctx):
            took.append(duration)

    ht.Pipeline([slow]).map({"a": [1, 2, 3]}, "a", engine=ht.ProcessEngine(2, callbacks=[Durations()]))
    assert len(took) == 6
    assert all(0.045 < t < 2 for t in took)


def test_ways_that_have_ended_are_forgotten() -> None:
    kept: list[int] = []

    class Count(PipelineCallback):
        def on_map_end(self, total_duration, ctx):
            kept.append(sum(type(o).__name__ == "_Way" for o in gc.get_objects()))

    outer = ht.Pipeline([inner().as_node(name="nest", output_mapping={"c": "cs"}), summed], name="outer")
    run_of(outer, Count()).map({"a": list(range(200))}, "a")
    assert kept == [0]
