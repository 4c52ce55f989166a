"""Acceptance cases 1 to 12: building, wiring and running, each where it runs on every engine."""

# ctest: timeout=300
from __future__ import annotations

import functools
import random
import time

import houndstooth as ht
import pytest


@ht.node(output_name="b")
def inc(a):
    return a + 1


@ht.node(output_name="c")
def double(b):
    return 2 * b


@ht.node(output_name="d")
def add(b, c, bonus=0):
    return b + c + bonus


def test_case_01_forms_of_the_decorator(engine):
    @ht.node
    def bare(x):
        """Says."""
        return x

    @ht.node()
    def called(bare):
        return bare + 1

    @ht.node("named", cache=False)
    def under_a_name(called):
        return called + 1

    lambdas = ht.node(output_name="last")(lambda named: named + 1)
    assert [n.output_name for n in (bare, called, under_a_name, lambdas)] == ["bare", "called", "named", "last"]
    assert (bare(1), called(1), under_a_name(1), lambdas(1)) == (1, 2, 2, 2)
    assert (bare.__name__, bare.__doc__, bare.name, bare.root_args) == ("bare", "Says.", "bare", ("x",))
    assert bare.cache and not under_a_name.cache and not bare.is_async
    assert len(bare.code_hash) == 64 and int(bare.code_hash, 16) >= 0
    got = ht.Pipeline([bare, called, under_a_name, lambdas]).run({"x": 1}, engine=engine)
    assert got == {"bare": 1, "called": 2, "named": 3, "last": 4}


class Adder:
    def __init__(self, by):
        self.by = by

    def add(self, x):
        return x + self.by

    def __call__(self, x):
        return x - self.by


def three(x, y, z=10):
    return x * 100 + y * 10 + z


def test_case_01_what_can_be_wrapped(engine):
    nodes = [
        ht.Node(Adder(2).add, "method"),
        ht.Node(Adder(3), "callable"),
        ht.Node(functools.partial(three, y=5), "partial"),
    ]
    assert ht.Pipeline(nodes).run({"x": 1}, engine=engine) == {"method": 3, "callable": -2, "partial": 160}


@pytest.mark.parametrize("kind", ["positional", "keyword"])
def test_case_01_parameters_by_position_and_by_name(engine, kind):
    def positional(a, b, /, c=3):
        return (a, b, c)

    def keyword(a, *, b, c=3):
        return (a, b, c)

    p = ht.Pipeline([ht.Node(locals()[kind], "t")])
    assert p.run({"a": 1, "b": 2}, engine=engine) == {"t": (1, 2, 3)}
    assert p.map({"a": [1, 4], "b": 2, "c": 9}, "a", engine=engine) == [{"t": (1, 2, 9)}, {"t": (4, 2, 9)}]


def test_case_01_variadic_parameters_are_refused():
    for f in (lambda *args: 1, lambda **kw: 1, lambda a, *b, **c: 1):
        with pytest.raises(TypeError, match=r"\*"):
            ht.Node(f, "o")
    with pytest.raises(TypeError):
        ht.Node("no function", "o")
    with pytest.raises(TypeError, match="signature"):
        ht.Node(max, "o")


def test_case_01_two_functions_of_one_name_are_two():
    def make(k):
        def f(x):
            return x + k

        return ht.Node(f, f"o{k}")

    one, two = make(1), make(2)
    assert one != two and len({one, two}) == 2
    graph = ht.Pipeline([one, two, ht.Node(lambda o2: o2, "o3")]).graph
    assert graph.output_to_node["o1"] is one and graph.output_to_node["o2"] is two
    assert set(graph.execution_order[:2]) == {one, two} and graph.dependencies[graph.execution_order[2]] == [two]


def test_case_02_order_of_the_list_is_no_matter(engine):
    nodes = [inc, double, add]
    expected = {"b": 2, "c": 4, "d": 6}
    for seed in range(6):
        shuffled = list(nodes)
        random.Random(seed).shuffle(shuffled)
        p = ht.Pipeline(shuffled)
        assert [n.name for n in p.graph.execution_order] == ["inc", "double", "add"]
        got = p.run({"a": 1}, engine=engine)
        assert got == expected and list(got) == list(expected)


def test_case_02_ready_nodes_by_name(engine):
    nodes = [ht.Node(f, f.__name__ + "_out") for f in [_named(n) for n in ("zeta", "alpha", "mu")]]
    got = ht.Pipeline(nodes).run({"x": 1}, engine=engine)
    assert list(got) == ["alpha_out", "mu_out", "zeta_out"]


def _named(name):
    def f(x):
        return x

    f.__name__ = f.__qualname__ = name
    return f


def test_case_03_a_diamond_computes_its_parent_once(engine, log):
    def parent(x):
        log("parent", x)
        return x + 1

    def left(p):
        return p * 2

    def right(p):
        return p * 3

    def both(l, r):  # noqa: E741
        return l + r

    p = ht.Pipeline([ht.Node(parent, "p"), ht.Node(left, "l"), ht.Node(right, "r"), ht.Node(both, "s")])
    assert p.run({"x": 1}, engine=engine)["s"] == 10
    assert log.lines() == ["parent 1"]
    assert [r["s"] for r in p.map({"x": [1, 2]}, "x", engine=engine)] == [10, 15]
    assert sorted(log.lines()) == ["parent 1", "parent 1", "parent 2"]


def test_case_04_tuple_outputs_feed_different_consumers(engine):
    split = ht.Node(lambda x: (x // 10, x % 10), ("tens", "ones"))
    p = ht.Pipeline([split, ht.Node(_named_of("tens"), "t"), ht.Node(_named_of("ones"), "o")])
    assert p.run({"x": 42}, engine=engine) == {"tens": 4, "ones": 2, "t": 8, "o": 4}
    assert p.run({"x": 42}, "o", engine=engine) == {"o": 4}
    assert [r["t"] for r in p.map({"x": [10, 20]}, "x", engine=engine)] == [2, 4]


def _named_of(name):
    scope = {}
    exec(f"def twice_{name}({name}):\n    return 2 * {name}", scope)
    return scope[f"twice_{name}"]


@pytest.mark.parametrize("result", [(1,), (1, 2, 3), (), [1], "ab", {"x": 1, "y": 2}, 5, None])
def test_case_04_another_length_or_kind_is_an_error(engine, result):
    p = ht.Pipeline([ht.Node(lambda a: result, ("x", "y"))])
    with pytest.raises((ValueError, TypeError)):
        p.run({"a": 1}, engine=engine)
    with pytest.raises((ValueError, TypeError)):
        p.map({"a": [1, 2]}, "a", engine=engine)


def test_case_05_duplicate_outputs_name_both_nodes():
    with pytest.raises(ht.DependencyError, match="inc.*other|other.*inc"):
        ht.Pipeline([inc, ht.Node(_named("other"), "b")])
    with pytest.raises(ht.DependencyError):
        ht.Pipeline([inc, inc])
    with pytest.raises(ValueError, match="'y' stands twice"):
        ht.Pipeline([ht.Node(lambda x: (x, x), ("y", "y"))])


def test_case_06_a_cycle_tells_its_path():
    def first(c):
        return c

    def second(a):
        return a

    def third(b):
        return b

    with pytest.raises(ht.CycleError) as raised:
        ht.Pipeline([ht.Node(first, "a"), ht.Node(second, "b"), ht.Node(third, "c")])
    text = str(raised.value)
    assert text.endswith("third <- second <- first <- third")
    with pytest.raises(ht.CycleError, match="first"):
        ht.Pipeline([ht.Node(first, "c")])


def test_case_07_a_chain_of_a_thousand(engine):
    scope = {}
    nodes = []
    for i in range(1000):
        exec(f"def n{i}(v{i}):\n    return v{i} + 1", scope)
        nodes.append(ht.Node(scope[f"n{i}"], f"v{i + 1}"))
    best = min(_seconds(lambda: ht.Pipeline(nodes)) for _ in range(5))
    assert best < 0.05, f"{1000 * best:.1f} ms"
    p = ht.Pipeline(nodes)
    assert p.run({"v0": 0}, "v1000", engine=engine) == {"v1000": 1000}
    assert p.map({"v0": [0, 5]}, "v0", output_name="v1000", engine=engine) == [{"v1000": 1000}, {"v1000": 1005}]


def _seconds(f):
    started = time.perf_counter()
    f()
    return time.perf_counter() - started


def test_case_08_what_a_pipeline_is():
    p = ht.Pipeline([add, double, inc], name="P")
    assert p.root_args == ("a", "bonus") and p.unfulfilled_args == ("a",)
    assert p.available_output_names == ("b", "c", "d")
    graph = p.graph
    assert graph.root_args == ["a", "bonus"] and graph.available_output_names == ["b", "c", "d"]
    assert [n.name for n in graph.execution_order] == ["inc", "double", "add"]
    assert graph.output_to_node == {"b": inc, "c": double, "d": add}
    assert graph.dependencies == {inc: [], double: [inc], add: [double, inc]}
    assert ht.Pipeline([inc, double, add]).graph == graph


def test_case_08_what_is_no_node_is_refused():
    for wrong in (3, "x", None, int):
        with pytest.raises(TypeError, match="node"):
            ht.Pipeline([wrong])
    assert ht.Pipeline([]).run({}) == {}


# ---- run ----


def test_case_09_everything_missing_in_one_error(engine):
    p = ht.Pipeline([ht.Node(lambda x, y: x, "p"), ht.Node(lambda z, w=1: z, "q")])
    with pytest.raises(ValueError, match="missing inputs: x, z$"):
        p.run({"y": 1}, engine=engine)
    assert p.run({"z": 3}, "q", engine=engine) == {"q": 3}


def test_case_09_defaults_are_honoured(engine):
    p = ht.Pipeline([inc, double, add])
    assert p.run({"a": 1}, engine=engine)["d"] == 6
    assert p.run({"a": 1, "bonus": 4}, engine=engine)["d"] == 10
    assert [r["d"] for r in p.map({"a": [1, 2], "bonus": [1, 2]}, ["a", "bonus"], engine=engine)] == [7, 11]


def test_case_09_unknown_inputs_are_told():
    p = ht.Pipeline([inc])
    with pytest.warns(UserWarning, match="takes 'zzz'"):
        assert p.run({"a": 1, "zzz": 2}) == {"b": 2}
    with pytest.raises(ValueError, match="'b'"):  # a node makes it
        p.run({"a": 1, "b": 3})


def test_case_10_pruned_nodes_do_not_run(engine, log):
    def bad(a, missing):
        log("bad")
        raise RuntimeError("must not run")

    p = ht.Pipeline([inc, double, add, ht.Node(bad, "never")])
    assert p.run({"a": 1}, "c", engine=engine) == {"c": 4}
    assert p.run({"a": 1}, ["c", "b"], engine=engine) == {"b": 2, "c": 4}
    assert p.run({"a": 1}, [], engine=engine) == {}
    assert p.map({"a": [1, 2]}, "a", output_name="c", engine=engine) == [{"c": 4}, {"c": 6}]
    assert len(log) == 0
    with pytest.raises(ValueError) as raised:
        p.run({"a": 1}, "nothing", engine=engine)
    assert all(name in str(raised.value) for name in ("nothing", "b", "c", "d", "never"))


def test_case_11_an_engine_of_one_call(engine, log):
    class Counting(ht.SequentialEngine):
        runs = 0

        def _run(self, *args):
            Counting.runs += 1
            return super()._run(*args)

    own = Counting()
    p = ht.Pipeline([inc], engine=own)
    assert p.run({"a": 1}, engine=engine) == {"b": 2} and Counting.runs == 0 and p.engine is own
    assert p.run({"a": 1}) == {"b": 2} and Counting.runs == 1
    assert p.with_engine(engine) is p and p.engine is engine
    assert p.run({"a": 1}) == {"b": 2} and Counting.runs == 1


@pytest.mark.parametrize("value", [None, 0, 0.0, False, "", b"", [], {}, (), set(), frozenset()], ids=repr)
def test_case_12_nothing_is_a_value(engine, value):
    same, seen = ht.Node(lambda a: a, "b"), ht.Node(lambda b, k: (b, k), "c")
    p = ht.Pipeline([same, seen])
    got = p.run({"a": value, "k": value}, engine=engine)
    assert got == {"b": value, "c": (value, value)} and type(got["b"]) is type(value)
    assert p.map({"a": [value] * 3, "k": value}, "a", engine=engine) == [got] * 3
    each = ht.Pipeline([same], name="each").as_node(map_over="a", output_mapping={"b": "bs"})
    assert ht.Pipeline([each]).run({"a": [value, value]}, engine=engine) == {"bs": [value, value]}
    assert ht.Pipeline([same]).bind(a=value).run(engine=engine) == {"b": value}
