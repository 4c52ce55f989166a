"""Building, running, mapping, nesting, binding, caching, classes, errors: the same on each of the five engines."""

# ctest: timeout=300
from __future__ import annotations

import asyncio
import os
import pickle
import threading
import time

import houndstooth as ht
import numpy as np
import pytest

from engines_fixture import NAMES, engine_of


@pytest.fixture(params=NAMES)
def engine(request, peer):
    for name in {"dask": ["dask"], "daft": ["daft"]}.get(request.param, []):
        peer(name)
    return engine_of(request.param)


@pytest.fixture(params=NAMES)
def make_engine(request):
    return lambda **options: engine_of(request.param, **options)


@ht.node(output_name="b")
def inc(a):
    return a + 1


@ht.node(output_name="c")
def double(b):
    return 2 * b


@ht.node(output_name="total")
def add(b, c, bonus=0):
    return b + c + bonus


@ht.node(output_name=("low", "high"))
def bounds(c):
    return c - 1, c + 1


@ht.node(output_name="text")
def fail_at_three(a):
    if a == 3:
        raise KeyError("three")
    return str(a)


@ht.node(output_name="slow")
async def wait_a_bit(a):
    await asyncio.sleep(0.005)
    return a * 10


# ---- building ----


def test_01_forms_of_the_decorator():
    @ht.node
    def plain(x):
        return x

    @ht.node()
    def called(x):
        return x

    assert plain.output_name == "plain" and called.output_name == "called" and inc.output_name == "b"
    assert inc(1) == 2 and inc.root_args == ("a",) and inc.__name__ == "inc"


def test_02_the_order_of_the_list_is_no_matter(engine):
    one = ht.Pipeline([inc, double, add]).run({"a": 1}, engine=engine)
    other = ht.Pipeline([add, double, inc]).run({"a": 1}, engine=engine)
    assert one == other == {"b": 2, "c": 4, "total": 6}
    assert list(one) == list(other) == ["b", "c", "total"]


def test_03_a_shared_parent_runs_once():
    calls = []
    parent = ht.node("p")(lambda x: calls.append(x) or x)
    left, right = ht.node("l")(lambda p: p + 1), ht.node("r")(lambda p: p + 2)
    both = ht.node("s")(lambda l, r: l + r)  # noqa: E741
    assert ht.Pipeline([parent, ht.Node(left.func, "l"), right, both]).nodes
    names = [parent, left, right, both]
    for at, n in enumerate(names):
        n.name = f"n{at}"
    assert ht.Pipeline(names).run({"x": 1})["s"] == 5
    assert calls == [1]


def test_04_tuple_outputs(engine):
    got = ht.Pipeline([inc, double, bounds]).map({"a": [1, 2]}, map_over="a", engine=engine)
    assert [(g["low"], g["high"]) for g in got] == [(3, 5), (5, 7)]
    wrong = ht.node(output_name=("x", "y"))(lambda a: (a,))
    with pytest.raises(ValueError, match="2 outputs are named, but 1"):
        ht.Pipeline([wrong]).run({"a": 1}, engine=engine)


def test_05_06_what_cannot_be_wired():
    with pytest.raises(ht.DependencyError, match="two nodes"):
        ht.Pipeline([inc, ht.Node(lambda a: a, "b")])
    with pytest.raises(ht.CycleError, match="cycle"):
        ht.Pipeline([ht.Node(lambda q: q, "p"), ht.Node(lambda p: p, "q")])
    with pytest.raises(ValueError):
        ht.Pipeline([ht.Node(lambda x: x, "x")])
    with pytest.raises(TypeError, match="args"):
        ht.node(lambda *args: 1)


def test_07_a_chain_of_a_thousand():
    nodes = []
    for i in range(1000):
        scope = {}
        exec(f"def n{i}(v{i}):\n    return v{i} + 1", scope)
        nodes.append(ht.Node(scope[f"n{i}"], f"v{i + 1}"))
    started = time.perf_counter()
    pipeline = ht.Pipeline(nodes)
    assert time.perf_counter() - started < 0.2
    assert pipeline.run({"v0": 0}, "v1000") == {"v1000": 1000}


def test_08_what_it_is():
    p = ht.Pipeline([add, double, inc])
    assert p.root_args == ("a", "bonus") and p.available_output_names == ("b", "c", "total")
    assert [n.name for n in p.graph.execution_order] == ["inc", "double", "add"]
    assert p.unfulfilled_args == ("a",)


# ---- run ----


def test_09_all_that_is_missing_at_once(engine):
    p = ht.Pipeline([ht.Node(lambda x, y, z: x, "o")])
    with pytest.raises(ValueError, match="x.*y.*z"):
        p.run({}, engine=engine)


def test_10_only_what_is_asked_for(engine):
    bad = ht.Node(lambda missing: 1 / 0, "bad")
    p = ht.Pipeline([inc, double, bad])
    assert p.run({"a": 1}, "c", engine=engine) == {"c": 4}
    assert p.run({"a": 1}, ["b", "c"], engine=engine) == {"b": 2, "c": 4}
    assert p.run({"a": 1}, [], engine=engine) == {}
    with pytest.raises(ValueError, match="nothing"):
        p.run({"a": 1}, "nothing", engine=engine)


def test_11_an_engine_for_one_run(engine):
    p = ht.Pipeline([inc], engine=ht.SequentialEngine())
    before = p.engine
    assert p.run({"a": 1}, engine=engine) == {"b": 2}
    assert p.engine is before


@pytest.mark.parametrize("value", [None, 0, "", [], {}, (), False])
def test_12_nothing_is_a_value(engine, value):
    same = ht.Node(lambda a: a, "b")
    assert ht.Pipeline([same]).run({"a": value}, engine=engine) == {"b": value}
    assert ht.Pipeline([same]).map({"a": [value] * 3}, map_over="a", engine=engine) == [{"b": value}] * 3


# ---- map ----


def test_13_14_15_zip_and_product(engine):
    pair = ht.Node(lambda x, y, k: (x, y, k), "p")
    p = ht.Pipeline([pair])
    inputs = {"x": (1, 2), "y": range(3, 5), "k": "k"}
    assert [r["p"] for r in p.map(inputs, ["x", "y"], engine=engine)] == [(1, 3, "k"), (2, 4, "k")]
    product = [r["p"][:2] for r in p.map(inputs, ["x", "y"], "product", engine=engine)]
    assert product == [(1, 3), (1, 4), (2, 3), (2, 4)]
    with pytest.raises(ValueError, match="length"):
        p.map({"x": [1], "y": [1, 2], "k": 0}, ["x", "y"], engine=engine)
    with pytest.raises(ValueError, match="zip"):
        p.map(inputs, ["x"], "cross", engine=engine)
    assert p.map({"x": [], "y": [], "k": 0}, ["x", "y"], engine=engine) == []
    assert [r["b"] for r in ht.Pipeline([inc]).map({"a": np.arange(3)}, "a", engine=engine)] == [1, 2, 3]
    assert [r["b"] for r in ht.Pipeline([inc]).map({"a": iter([1, 2])}, "a", engine=engine)] == [2, 3]


def test_16_map_with_outputs_and_bound_lists(engine):
    p = ht.Pipeline([inc, double]).bind(a=[1, 2, 3])
    assert p.map({}, "a", output_name="c", engine=engine) == [{"c": 4}, {"c": 6}, {"c": 8}]
    assert p.map({"a": [5]}, "a", output_name="c", engine=engine) == [{"c": 12}]


def test_values_come_back_as_they_were(engine):
    values = [(1, 2), {"k": (3,)}, [1, "a", 2.5], 2**80, {1, 2}, np.float32(1.5), b"x", "ü", None, 1, 1.0, True]
    same = ht.Node(lambda a: a, "b")
    got = [r["b"] for r in ht.Pipeline([same]).map({"a": values}, "a", engine=engine)]
    assert got == values and [type(g) for g in got] == [type(v) for v in values]


# ---- nesting ----


def test_17_18_19_nested_maps_and_mappings(engine):
    inner = ht.Pipeline([inc, double], name="inner")
    first = inner.as_node(input_mapping={"xs": "a"}, output_mapping={"c": "cs"}, map_over="xs", name="first")
    second = inner.as_node(input_mapping={"y": "a"}, output_mapping={"b": "d"}, name="second")
    got = ht.Pipeline([first, second]).run({"xs": [1, 2], "y": 9}, engine=engine)
    assert got == {"cs": [4, 6], "d": 10}
    twice = ht.Pipeline([first]).as_node(map_over="xs", name="outer")
    got = ht.Pipeline([twice]).run({"xs": [[1], [], [2, 3]]}, engine=engine)
    assert got == {"cs": [[4], [], [6, 8]]}


def test_20_21_22_empty_lists_pruning_and_bound_inputs(engine):
    inner = ht.Pipeline([inc, double, add], name="inner").bind(bonus=100)
    node = inner.as_node(map_over="a")
    assert ht.Pipeline([node]).run({"a": []}, engine=engine) == {"b": [], "c": [], "total": []}
    reader = ht.Node(lambda total: sum(total), "s")
    outer = ht.Pipeline([node, reader])
    assert outer.run({"a": [1, 2]}, engine=engine)["s"] == 2 + 4 + 100 + 3 + 6 + 100
    assert outer.run({"a": [1]}, "c", engine=engine) == {"c": [4]}
    assert outer.unfulfilled_args == ("a",) and inner.bound_inputs == {"bonus": 100}


def test_order_and_emptiness_of_many_lists(engine):
    node = ht.Pipeline([inc], name="each").as_node(map_over="a", output_mapping={"b": "bs"})
    lists = [list(range(i, i + i % 7)) for i in range(300)]
    got = ht.Pipeline([node]).map({"a": lists}, "a", engine=engine)
    assert [g["bs"] for g in got] == [[x + 1 for x in one] for one in lists]


def test_24_bind_and_unbind():
    p = ht.Pipeline([inc, double, add], name="P")
    assert p.bind(a=1) is p and p.bind(bonus=5).bound_inputs == {"a": 1, "bonus": 5}
    assert p.run()["total"] == 11 and p.run({"a": 2})["total"] == 14
    assert "bound=[a, bonus]" in repr(p)
    assert p.unbind("a").bound_inputs == {"bonus": 5} and p.unbind().bound_inputs == {}
    with pytest.raises(ValueError, match="nothing"):
        p.bind(nothing=1)


# ---- cache ----


def test_25_26_28_29_the_cache(make_engine, tmp_path):
    log = tmp_path / "calls"
    path = str(log)

    def work(a, k):
        with open(path, "a") as f:
            f.write("x")
        return None if a == 0 else (a, k)

    def calls():
        return log.stat().st_size if log.exists() else 0

    engine = make_engine(cache=ht.DiskCache(tmp_path / "cache"))
    p = ht.Pipeline([ht.Node(work, "w")], engine=engine)
    first = p.map({"a": [0, 1, 2], "k": 1}, "a")
    assert calls() == 3 and p.map({"a": [0, 1, 2], "k": 1}, "a") == first and calls() == 3
    assert p.map({"a": [1, 2, 3], "k": 1}, "a")[0] == first[1] and calls() == 4
    for k in ("1", True, 1.0, b"1"):
        p.map({"a": [1], "k": k}, "a")
    assert calls() == 8
    never = ht.Pipeline([ht.Node(work, "w", cache=False)], engine=engine)
    never.map({"a": [1], "k": 1}, "a")
    assert calls() == 9


def test_25_code_and_bound_values_change_the_key(tmp_path):
    engine = ht.SequentialEngine(cache=ht.DiskCache(tmp_path))

    def made(factor):
        return ht.Pipeline([ht.Node(lambda a: a * factor, "b")], engine=engine)

    assert made(2).run({"a": 3}) == {"b": 6} and made(3).run({"a": 3}) == {"b": 9}
    inner = ht.Pipeline([ht.Node(lambda a, k: a * k, "b")], name="i")
    for k in (2, 3):
        assert ht.Pipeline([inner.bind(k=k).as_node()], engine=engine).run({"a": 5}) == {"b": 5 * k}


# ---- classes ----


@ht.cls
class Encoder:
    def __init__(self, scale=1):
        time.sleep(0.02)
        self.scale = scale

    def encode(self, text, is_query=False):
        return ("row", len(text) * self.scale, is_query)

    @ht.method.batch
    def encode_batch(self, texts, is_query=False):
        return [("batch", len(t) * self.scale, is_query) for t in texts.to_pylist()]


@ht.node(output_name="encoded")
def encode(text, encoder):
    return encoder.encode(text, is_query=True)


def test_31_one_object_for_eight_threads():
    made = []

    @ht.cls
    class Slow:
        def __init__(self):
            time.sleep(0.05)
            made.append(1)

        def get(self, x):
            return x

    s = Slow()
    assert made == []
    threads = [threading.Thread(target=s.get, args=(1,)) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert made == [1]


def test_33_rows_become_batches_on_every_engine(engine):
    texts = ["a" * (i % 5) for i in range(50)]
    got = ht.Pipeline([encode]).map({"text": texts, "encoder": Encoder(3)}, "text", engine=engine)
    assert [g["encoded"][1:] for g in got] == [(3 * len(t), True) for t in texts]
    batched = sum(g["encoded"][0] == "batch" for g in got)
    assert batched == 50 if type(engine) in (ht.SequentialEngine, ht.ThreadEngine) else batched >= 40  # slices of 7


def test_36_dual_nodes(engine):
    dual = ht.DualNode("d", lambda a, k: ("one", a + k), lambda a, k: [("many", x + k) for x in a.to_pylist()])
    after = ht.Node(lambda d: d, "e")
    p = ht.Pipeline([dual, after])
    assert p.run({"a": 1, "k": 2}, engine=engine)["e"] == ("one", 3)
    got = [r["e"] for r in p.map({"a": list(range(64)), "k": 2}, "a", engine=engine)]
    assert got == [("many", i + 2) for i in range(64)]
    short = ht.DualNode("d", lambda a: a, lambda a: [1])
    with pytest.raises(RuntimeError, match="rows gave 1"):
        ht.Pipeline([short]).map({"a": list(range(64))}, "a", engine=engine)


def test_37_coroutines_overlap(engine):
    p = ht.Pipeline([wait_a_bit])
    p.map({"a": [1]}, "a", engine=engine)
    started = time.perf_counter()
    got = p.map({"a": list(range(50))}, "a", engine=engine)
    assert [g["slow"] for g in got] == [10 * i for i in range(50)]
    assert time.perf_counter() - started < 0.2  # one after the other: .25 at least


def test_37_inside_a_running_loop(engine):
    async def main():
        here = ht.Pipeline([wait_a_bit]).map({"a": [1, 2]}, "a", engine=engine)
        there = await ht.Pipeline([wait_a_bit]).amap({"a": [1, 2]}, "a", engine=engine)
        return here, there, await ht.Pipeline([wait_a_bit]).arun({"a": 3}, engine=engine)

    here, there, one = asyncio.run(main())
    assert here == there == [{"slow": 10}, {"slow": 20}] and one == {"slow": 30}


# ---- errors ----


def test_errors_stay_themselves_and_say_where(engine):
    p = ht.Pipeline([fail_at_three])
    with pytest.raises(KeyError) as raised:
        p.map({"a": [1, 2, 3, 4]}, "a", engine=engine)
    assert raised.value.args == ("three",)
    assert any("fail_at_three" in note and "item 2" in note for note in raised.value.__notes__)


def test_errors_can_be_collected(engine):
    got = ht.Pipeline([fail_at_three]).map({"a": [1, 3, 4]}, "a", engine=engine, errors="collect")
    assert got[0] == {"text": "1"} and got[2] == {"text": "4"}
    assert isinstance(got[1], ht.Failure) and got[1].item == 1 and isinstance(got[1].error, KeyError)


@pytest.mark.parametrize("policy, expected", [("null", ["1", None, "4"]), ("skip", ["1", "4"])])
def test_policies_of_nodes(engine, policy, expected):
    spared = ht.Node(fail_at_three.func, "text", on_error=policy)
    assert [g["text"] for g in ht.Pipeline([spared]).map({"a": [1, 3, 4]}, "a", engine=engine)] == expected


def test_retries(engine, tmp_path):
    path = str(tmp_path / "tries")

    def flaky(a):
        with open(path, "a") as f:
            f.write("x")
        if os.path.getsize(path) < 3:
            raise OSError("not yet")
        return a

    n = ht.Node(flaky, "b", max_retries=3, retry_wait=0.001)
    assert ht.Pipeline([n]).map({"a": [7]}, "a", engine=engine) == [{"b": 7}]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_is_no_exception_is_never_swallowed(kind):
    def stop(a):
        raise kind("now")

    for policy in ("null", "skip"):
        with pytest.raises(kind):
            ht.Pipeline([ht.Node(stop, "b", on_error=policy)]).map({"a": [1, 2]}, "a")
    with pytest.raises(kind):
        ht.Pipeline([ht.Node(stop, "b")]).map({"a": [1, 2]}, "a", errors="collect")


# ---- weak spots ----


def test_a_node_that_runs_a_pipeline():
    inner = ht.Pipeline([encode])

    def outer(texts, encoder):
        first = encoder.encode("xx")
        rest = inner.map({"text": texts, "encoder": encoder}, "text")
        return [first, *(r["encoded"] for r in rest), encoder.encode("yyy")]

    p = ht.Pipeline([ht.Node(outer, "all")])
    for engine in (ht.SequentialEngine(), ht.ThreadEngine(2)):
        got = p.map({"texts": [["a"], ["b", "cc"]], "encoder": Encoder()}, "texts", engine=engine)
        assert [[x[1] for x in g["all"]] for g in got] == [[2, 1, 3], [2, 1, 2, 3]]


def test_an_error_arrives_at_the_call_and_may_be_caught():
    @ht.cls
    class Picky:
        def check(self, x):
            return x

        def check_batch(self, xs: list):
            if any(x < 0 for x in xs):
                raise ValueError("negative")
            return xs

    def body(x, picky):
        try:
            return picky.check(x)
        except ValueError as error:
            return str(error)

    got = ht.Pipeline([ht.Node(body, "y")]).map({"x": [1, -1, 2], "picky": Picky()}, "x")
    assert [g["y"] for g in got] == ["negative"] * 3


def test_a_body_that_is_given_up_tidies_up():
    tidied = []

    def body(x, encoder):
        try:
            return encoder.encode(x)
        finally:
            tidied.append(x)

    p = ht.Pipeline([ht.Node(body, "y")])
    for engine in (ht.SequentialEngine(), ht.ThreadEngine(3)):
        tidied.clear()
        with pytest.raises(TypeError):
            p.map({"x": ["a", None, "b"] * 20, "encoder": Encoder()}, "x", engine=engine)
        assert len(tidied) == 60


def test_pickle_of_what_is_here():
    for thing in (inc, ht.Pipeline([inc, double])):
        again = pickle.loads(pickle.dumps(thing))
        assert repr(again) == repr(thing)
    e = pickle.loads(pickle.dumps(Encoder(2)))
    assert e.encode("ab") == ("row", 4, False)


def test_attributes_dunders_and_properties():
    @ht.cls
    class Box:
        KIND = "box"

        def __init__(self, items):
            self.items = items

        @property
        def first(self):
            return self.items[0]

        def __len__(self):
            return len(self.items)

        def __getitem__(self, at):
            return self.items[at]

        def __contains__(self, x):
            return x in self.items

    b = Box([1, 2, 3])
    assert (len(b), b[1], 3 in b, b.first, Box.KIND, list(b)) == (3, 2, True, 1, "box", [1, 2, 3])
    b.items = [9]
    assert b.first == 9
