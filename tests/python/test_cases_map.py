"""Acceptance cases 13 to 24: maps, nested pipelines and bound inputs, on every engine."""

# ctest: timeout=300
from __future__ import annotations

import houndstooth as ht
import numpy as np
import pytest


@ht.node(output_name="b")
def inc(a):
    return a + 1


@ht.node(output_name="c")
def double(b):
    return 2 * b


@ht.node(output_name="d")
def scaled(c, k=10):
    return c * k


@ht.node(output_name="p")
def triple(x, y, z):
    return (x, y, z)


def values(results, name):
    return [r[name] for r in results]


def test_case_13_single_zip_and_product(engine):
    p = ht.Pipeline([triple])
    inputs = {"x": [1, 2], "y": [3, 4], "z": 0}
    assert values(p.map(inputs, "y", engine=engine), "p") == [([1, 2], 3, 0), ([1, 2], 4, 0)]
    assert values(p.map(inputs, ["x", "y"], engine=engine), "p") == [(1, 3, 0), (2, 4, 0)]
    product = [(1, 3, 0), (1, 4, 0), (2, 3, 0), (2, 4, 0)]
    assert values(p.map(inputs, ["x", "y"], "product", engine=engine), "p") == product
    turned = [(1, 3, 0), (2, 3, 0), (1, 4, 0), (2, 4, 0)]  # the last of map_over varies fastest
    assert values(p.map(inputs, ["y", "x"], "product", engine=engine), "p") == turned
    many = p.map({"x": range(5), "y": range(4), "z": range(3)}, ["x", "y", "z"], "product", engine=engine)
    assert values(many, "p") == [(x, y, z) for x in range(5) for y in range(4) for z in range(3)]


def test_case_13_a_result_is_a_dict_of_all_outputs(engine):
    got = ht.Pipeline([double, inc]).map({"a": [1, 2]}, "a", engine=engine)
    assert got == [{"b": 2, "c": 4}, {"b": 3, "c": 6}] and list(got[0]) == ["b", "c"]


def test_case_13_constants_are_the_same_object(make_engine, request):
    engine = make_engine()
    local = type(engine) in (ht.SequentialEngine, ht.ThreadEngine)
    shared = [object()] if local else ["x"]
    same = ht.Node(lambda a, k: k, "k2")
    got = values(ht.Pipeline([same]).map({"a": range(4), "k": shared}, "a", engine=engine), "k2")
    assert got == [shared] * 4
    if local:
        assert all(g is shared for g in got)


def test_case_14_lengths_and_modes(engine):
    p = ht.Pipeline([triple])
    with pytest.raises(ValueError) as raised:
        p.map({"x": [1], "y": [1, 2, 3], "z": 0}, ["x", "y"], engine=engine)
    assert all(word in str(raised.value) for word in ("x", "1", "y", "3"))
    with pytest.raises(ValueError, match="zip.*product"):
        p.map({"x": [1], "y": [1], "z": 0}, "x", "cross", engine=engine)
    assert p.map({"x": [], "y": [], "z": 0}, ["x", "y"], engine=engine) == []
    assert p.map({"x": [], "y": [1, 2], "z": 0}, ["x", "y"], "product", engine=engine) == []


def test_case_14_map_over_must_be_there(engine):
    p = ht.Pipeline([triple])
    with pytest.raises(ValueError, match="x, y, z"):
        p.map({"x": [1], "y": 1, "z": 1}, engine=engine)
    with pytest.raises(ValueError, match="w"):
        p.map({"x": [1], "y": 1, "z": 1}, "w", engine=engine)
    with pytest.raises(ValueError, match="missing input: y"):
        p.map({"x": [1], "z": 1}, "x", engine=engine)
    for wrong in (5, None, {"a": 1}):
        with pytest.raises((TypeError, ValueError), match="wanted"):
            p.map({"x": wrong, "y": 1, "z": 1}, "x", engine=engine)


@pytest.mark.parametrize(
    "make",
    [
        lambda: [1, 2, 3],
        lambda: (1, 2, 3),
        lambda: range(1, 4),
        lambda: iter([1, 2, 3]),
        lambda: (i for i in [1, 2, 3]),
        lambda: np.array([1, 2, 3]),
        lambda: {1: 0, 2: 0, 3: 0}.keys(),
        lambda: map(int, "123"),
        lambda: ht.Series.from_pylist([1, 2, 3]),
    ],
    ids=["list", "tuple", "range", "iterator", "generator", "array", "keys", "map", "Series"],
)
def test_case_15_what_can_be_mapped(engine, make):
    assert values(ht.Pipeline([inc]).map({"a": make()}, "a", engine=engine), "b") == [2, 3, 4]
    each = ht.Pipeline([inc], name="each").as_node(map_over="a")
    assert ht.Pipeline([each]).run({"a": make()}, engine=engine) == {"b": [2, 3, 4]}


def test_case_15_rows_of_a_matrix(engine):
    matrix = np.arange(6, dtype=np.float32).reshape(3, 2)
    got = values(ht.Pipeline([ht.Node(lambda a: float(a.sum()), "s")]).map({"a": matrix}, "a", engine=engine), "s")
    assert got == [1.0, 5.0, 9.0]


def test_case_16_map_with_outputs_and_bound_values(engine):
    p = ht.Pipeline([inc, double, scaled]).bind(k=3)
    assert p.map({"a": [1, 2]}, "a", output_name="d", engine=engine) == [{"d": 12}, {"d": 18}]
    assert p.map({"a": [1, 2]}, "a", output_name=["c", "b"], engine=engine) == [{"b": 2, "c": 4}, {"b": 3, "c": 6}]
    assert values(p.map({"a": [1, 2], "k": [1, 2]}, ["a", "k"], engine=engine), "d") == [4, 12]
    bound = ht.Pipeline([inc]).bind(a=[1, 2])
    assert values(bound.map(map_over="a", engine=engine), "b") == [2, 3]
    assert values(bound.map({"a": [7]}, "a", engine=engine), "b") == [8]


# ---- nesting ----


def test_case_17_mappings(engine):
    inner = ht.Pipeline([inc, double], name="inner")
    run = lambda node, **inputs: ht.Pipeline([node]).run(inputs, engine=engine)  # noqa: E731
    assert run(inner.as_node(), a=1) == {"b": 2, "c": 4}
    assert run(inner.as_node(input_mapping={"start": "a"}), start=1) == {"b": 2, "c": 4}
    assert run(inner.as_node(output_mapping={"c": "end"}), a=1) == {"end": 4}  # also a filter
    both = inner.as_node(input_mapping={"start": "a"}, output_mapping={"b": "mid", "c": "end"})
    assert run(both, start=1) == {"mid": 2, "end": 4}
    middle = ht.Pipeline([both, ht.Node(lambda end: end + 100, "more")], name="middle")
    outer = middle.as_node(input_mapping={"go": "start"}, output_mapping={"more": "most"})
    assert run(outer, go=1) == {"most": 104}
    assert ht.Pipeline([inner]).run({"a": 1}, engine=engine) == {"b": 2, "c": 4}  # without as_node
    assert both(start=3) == {"mid": 4, "end": 8}


def test_case_17_unknown_names_are_errors():
    inner = ht.Pipeline([inc, double], name="inner")
    for wrong in ({"input_mapping": {"x": "nope"}}, {"output_mapping": {"nope": "x"}}, {"map_over": "nope"}):
        with pytest.raises(ValueError, match="nope"):
            inner.as_node(**wrong)
    with pytest.raises(ValueError, match="zip"):
        inner.as_node(map_over="a", map_mode="both")


def test_case_18_one_pipeline_twice(engine):
    inner = ht.Pipeline([inc, double], name="inner")
    left = inner.as_node(input_mapping={"x": "a"}, output_mapping={"c": "cx"}, name="left")
    right = inner.as_node(input_mapping={"ys": "a"}, output_mapping={"c": "cys"}, map_over="ys", name="right")
    join = ht.Node(lambda cx, cys: [cx, *cys], "all")
    p = ht.Pipeline([left, right, join])
    assert p.run({"x": 1, "ys": [2, 3]}, engine=engine) == {"cx": 4, "cys": [6, 8], "all": [4, 6, 8]}


def test_case_19_nested_maps(engine):
    inner = ht.Pipeline([inc, double, scaled], name="inner")
    shared = inner.as_node(map_over="a", output_mapping={"d": "ds"})
    assert ht.Pipeline([shared]).run({"a": [1, 2], "k": 2}, engine=engine) == {"ds": [8, 12]}
    cross = ht.Pipeline([triple], name="cross").as_node(map_over=["x", "y"], map_mode="product")
    got = ht.Pipeline([cross]).run({"x": [1, 2], "y": [3, 4], "z": 9}, engine=engine)
    assert got == {"p": [(1, 3, 9), (1, 4, 9), (2, 3, 9), (2, 4, 9)]}
    outer = ht.Pipeline([shared, ht.Node(lambda ds: sum(ds), "total")])
    rows = outer.map({"a": [[1], [1, 2], []], "k": 1}, "a", engine=engine)
    assert rows == [{"ds": [4], "total": 4}, {"ds": [4, 6], "total": 10}, {"ds": [], "total": 0}]


def test_case_19_three_levels(engine):
    level = ht.Pipeline([inc, double], name="level0")
    for i in range(3):
        node = level.as_node(map_over="a", output_mapping={"c": "c"}, name=f"node{i}")
        level = ht.Pipeline([node], name=f"level{i + 1}")
    deep = [[[1, 2], [3]], [], [[], [4]]]
    assert level.run({"a": deep}, engine=engine) == {"c": [[[4, 6], [8]], [], [[], [10]]]}
    got = values(level.map({"a": [deep] * 20}, "a", engine=engine), "c")
    assert got == [[[[4, 6], [8]], [], [[], [10]]]] * 20


def test_case_20_empty_lists(engine):
    inner = ht.Pipeline([inc, double, scaled], name="inner")
    node = inner.as_node(map_over="a")
    assert ht.Pipeline([node]).run({"a": []}, engine=engine) == {"b": [], "c": [], "d": []}
    product = ht.Pipeline([triple], name="t").as_node(map_over=["x", "y"], map_mode="product")
    assert ht.Pipeline([product]).run({"x": [], "y": [1], "z": 0}, engine=engine) == {"p": []}
    reader = ht.Node(lambda b, d: (len(b), len(d)), "n")
    assert ht.Pipeline([node, reader]).run({"a": []}, "n", engine=engine) == {"n": (0, 0)}


def test_case_21_pruning_of_inner_outputs(engine, log):
    def costly(b):
        log("costly")
        return b

    inner = ht.Pipeline([inc, double, ht.Node(costly, "x")], name="inner")
    p = ht.Pipeline([inner.as_node(), ht.Node(lambda c: c + 1, "e")])
    assert p.run({"a": 1}, "e", engine=engine) == {"e": 5} and len(log) == 0
    assert "x" not in p.run({"a": 1}, engine=engine) and len(log) == 0  # no one reads it
    assert p.run({"a": 1}, "x", engine=engine) == {"x": 2} and len(log) == 1
    assert p.run({"a": 1}, ["x", "e"], engine=engine) == {"x": 2, "e": 5} and len(log) == 2
    assert ht.Pipeline([inner.as_node()]).run({"a": 1}, engine=engine) == {"b": 2, "c": 4, "x": 2}


def test_case_22_bound_inputs_of_an_inner_pipeline(engine):
    inner = ht.Pipeline([inc, double, scaled], name="inner").bind(k=7)
    node = inner.as_node(input_mapping={"start": "a"})
    assert node.bound_inputs == {"k": 7} and node.unfulfilled_args == ("start",) and node.root_args == ("start",)
    outer = ht.Pipeline([node])
    assert outer.root_args == ("start",) and outer.unfulfilled_args == ("start",)
    assert outer.run({"start": 1}, engine=engine) == {"b": 2, "c": 4, "d": 28}
    everything = ht.Pipeline([inc], name="all").bind(a=1).as_node()
    assert everything.unfulfilled_args == () and ht.Pipeline([everything]).run(engine=engine) == {"b": 2}


def test_case_22_a_later_bind_is_seen(engine):
    inner = ht.Pipeline([inc, double, scaled], name="inner")
    outer = ht.Pipeline([inner.as_node()])
    assert outer.run({"a": 1}, "d", engine=engine) == {"d": 40}
    inner.bind(k=1)
    assert outer.run({"a": 1}, "d", engine=engine) == {"d": 4}
    inner.unbind("k")
    assert outer.run({"a": 1}, "d", engine=engine) == {"d": 40}


class Heard(ht.PipelineCallback):
    def __init__(self):
        self.nodes = []

    def on_node_start(self, node_id, inputs, ctx):
        self.nodes.append(node_id)

    def on_node_cached(self, node_id, signature, ctx):
        self.nodes.append(node_id + " cached")


def test_case_23_cache_and_callbacks_are_inherited(make_engine, log, tmp_path):
    def work(a):
        log("work")
        return a

    inner = ht.Pipeline([ht.Node(work, "w")], name="inner")
    heard = Heard()
    engine = make_engine(cache=ht.DiskCache(tmp_path / "cache"), callbacks=[heard])
    p = ht.Pipeline([inner.as_node(map_over="a")], engine=engine)
    assert p.run({"a": [1]}) == p.run({"a": [1]}) == {"w": [1]}
    assert len(log) == 1
    assert heard.nodes == ["inner", "work", "inner", "work cached"]


def test_case_23_an_inner_engine_is_respected(make_engine, log, tmp_path):
    def work(a):
        log("work")
        return a

    inner = ht.Pipeline([ht.Node(work, "w")], engine=ht.SequentialEngine(cache=ht.DiskCache(tmp_path)), name="inner")
    p = ht.Pipeline([inner.as_node(), ht.Node(lambda w: log("after") or w, "x")], engine=make_engine())
    assert p.run({"a": 1}) == p.run({"a": 1}) == {"w": 1, "x": 1}
    assert sorted(log.lines()) == ["after", "after", "work"]


# ---- bind ----


def test_case_24_bind_and_unbind(engine):
    p = ht.Pipeline([inc, double, scaled], name="P")
    assert p.bind(a=1) is p and p.bind(k=5) is p and p.bound_inputs == {"a": 1, "k": 5}
    assert p.unfulfilled_args == () and p.run(engine=engine)["d"] == 20
    assert p.run({"a": 2}, engine=engine)["d"] == 30 and p.bound_inputs["a"] == 1
    assert p.bind(a=3).run(engine=engine)["d"] == 40
    copy = p.bound_inputs
    copy["a"] = 99
    assert p.bound_inputs["a"] == 3
    assert p.unbind("a", "no such name").bound_inputs == {"k": 5} and p.unfulfilled_args == ("a",)
    assert p.unbind().bound_inputs == {}
    with pytest.raises(ValueError, match="nope.*a, k"):
        p.bind(nope=1)


def test_case_24_repr():
    p = ht.Pipeline([inc, scaled], name="P")
    assert "P" in repr(p) and "2 nodes" in repr(p) and "needs=[a, c]" in repr(p) and "bound" not in repr(p)
    assert "bound=[a]" in repr(p.bind(a=1)) and "needs=[c]" in repr(p)
    again = p.copy().bind(c=2)
    assert p.bound_inputs == {"a": 1} and again.bound_inputs == {"a": 1, "c": 2}
