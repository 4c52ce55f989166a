"""The table of docs/differences.md, subject by subject: what it says of this package holds."""

from __future__ import annotations

import functools
import pickle
import re
import threading
from pathlib import Path

import houndstooth as ht
import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs/differences.md"


@ht.node(output_name="y")
def inc(x, k=1):
    return x + k


@ht.node(output_name="z")
def double(y):
    return 2 * y


def counting(calls: list, **options):
    @ht.node(output_name="y", **options)
    def seen(x):
        calls.append(x)
        return x

    return seen


def test_every_subject_has_its_test() -> None:
    part = PAGE.read_text().split("## HyperNodes, subject by subject")[1].split("\n## ")[0]
    subjects = re.findall(r"^\| ([a-z ]+) \|", part, re.M)[1:]
    assert len(subjects) == 14
    assert {f"test_{s.replace(' ', '_')}" for s in subjects} <= set(globals())


def test_construction() -> None:
    for nodes in ([inc, double], [double, inc], [ht.Pipeline([inc], name="i").as_node(output_mapping={}), double]):
        assert ht.Pipeline(nodes).run({"x": 1}, output_name="z") == {"z": 4}
    assert ht.Pipeline([ht.Pipeline([inc], name="i"), double]).run({"x": 1}, output_name="z") == {"z": 4}
    made = ht.node(output_name="s")
    assert ht.Pipeline([made(functools.partial(pow, exp=2))]).run({"base": 3, "mod": None}) == {"s": 9}
    assert ht.Pipeline([made(len)]).run({"obj": [1, 2]}) == {"s": 2}
    assert ht.Pipeline([lambda a: a]).run({"a": 1}) == {"<lambda>": 1}
    with pytest.raises(ht.DependencyError, match="'y' is made by two nodes"):
        ht.Pipeline([inc, inc])
    with pytest.raises(ht.CycleError):
        ht.Pipeline([ht.node(output_name="y")(lambda y: y)])
    with pytest.raises(TypeError, match="name the parameters"):
        ht.node(lambda *args: args)


def test_execution() -> None:
    both = ht.Pipeline([inc, double])
    assert both.run({"x": 1}) == {"y": 2, "z": 4}  # k has its default
    with pytest.raises(ValueError, match="missing inputs?: a, b"):
        ht.Pipeline([ht.node(output_name="s")(lambda a, b: a)]).run()
    with pytest.warns(UserWarning, match="takes 'q'"):
        both.run({"x": 1, "q": 2})
    with pytest.raises(ValueError, match="input 'y' is what the node 'inc' makes"):
        both.run({"x": 1, "y": 2})
    with pytest.raises(TypeError) as failed:
        both.run({"x": "text"})
    assert failed.value.__notes__ == ["node 'inc'"]


def test_several_outputs() -> None:
    named = ht.node(output_name=("q", "r"))
    assert ht.Pipeline([named(lambda a: (a, -a))]).run({"a": 1}) == {"q": 1, "r": -1}
    for wrong in ((1,), (1, 2, 3), {"q": 1, "r": 2}):
        with pytest.raises((TypeError, ValueError), match="2 outputs are named"):
            ht.Pipeline([named(lambda a, wrong=wrong: wrong)]).run({"a": 1})


def test_map() -> None:
    pairs = ht.Pipeline([ht.node(output_name="s")(lambda a, b: (a, b))])
    for items in ([1, 2], (1, 2), range(1, 3), iter([1, 2]), ht.Series.from_pylist([1, 2])):
        assert pairs.map({"a": items, "b": 0}, map_over="a") == [{"s": (1, 0)}, {"s": (2, 0)}]
    lists = {"b": [1, 2], "a": [8, 9]}
    product = pairs.map(lists, map_over=["a", "b"], map_mode="product")
    assert [row["s"] for row in product] == [(8, 1), (8, 2), (9, 1), (9, 2)]
    with pytest.raises(ValueError, match="map_mode is 'zip' or 'product'"):
        pairs.map(lists, map_over=["a", "b"], map_mode="cross")
    with pytest.raises(ValueError, match="a: 2, b: 1"):
        pairs.map({"a": [1, 2], "b": [1]}, map_over=["a", "b"])
    collected = ht.Pipeline([inc]).map({"x": [1, "text"]}, map_over="x", errors="collect")
    assert collected[0] == {"y": 2}
    assert isinstance(collected[1].error, TypeError)


def test_nesting() -> None:
    inner = ht.Pipeline([inc], name="inner")
    outer = ht.Pipeline([inner.as_node(input_mapping={"xs": "x"}, output_mapping={"y": "ys"}, map_over="xs")])
    assert outer.run({"xs": [1, 2]}) == {"ys": [2, 3]}
    assert outer.run({"xs": []}) == {"ys": []}
    inner.bind(k=10)
    assert outer.run({"xs": [1, 2]}) == {"ys": [11, 12]}
    calls: list = []
    own = ht.Pipeline([counting(calls)], engine=ht.SeqEngine(cache=ht.MemoryCache()), name="own")
    for _ in range(2):
        ht.Pipeline([own.as_node()]).run({"x": 1})
    assert calls == [1]


def test_output_mapping() -> None:
    inner = ht.Pipeline([inc, double], name="inner")
    assert ht.Pipeline([inner.as_node(output_mapping={"z": "renamed"})]).run({"x": 1}) == {"renamed": 4}
    for wrong in ({"output_mapping": {"w": "v"}}, {"input_mapping": {"v": "w"}}, {"map_over": "w"}):
        with pytest.raises(ValueError, match="there are"):
            inner.as_node(**wrong)


def test_bind() -> None:
    made = ht.Pipeline([inc])
    assert made.bind(k=5) is made
    assert (made.bound_inputs, made.unfulfilled_args) == ({"k": 5}, ("x",))
    assert (made.run({"x": 1}), made.run({"x": 1, "k": 2})) == ({"y": 6}, {"y": 3})
    outer = ht.Pipeline([made.as_node()])
    with pytest.warns(UserWarning, match="takes 'k'"):
        assert outer.run({"x": 1, "k": 100}) == {"y": 6}
    assert made.unbind("unknown").unbind("k").run({"x": 1}) == {"y": 2}
    with pytest.raises(ValueError, match="nothing takes an input 'kk'; there are k, x"):
        made.bind(kk=1)


def scaled(x):
    return x


def test_caching(monkeypatch, tmp_path: Path) -> None:
    calls: list = []
    made = ht.Pipeline([counting(calls)], engine=ht.SeqEngine(cache=ht.DiskCache(tmp_path)))
    values = [1, 1.0, "1", True, None]
    for _ in range(2):
        made.map({"x": values}, map_over="x")
    assert [(type(c), c) for c in calls] == [(type(v), v) for v in values]
    calls.clear()
    uncached = ht.Pipeline([counting(calls, cache=False)], engine=ht.SeqEngine(cache=ht.MemoryCache()))
    uncached.run({"x": 1})
    uncached.run({"x": 1})
    assert calls == [1, 1]

    def with_scaled():
        return ht.Pipeline([ht.node(output_name="y")(lambda x: scaled(x))], engine=made.engine).run({"x": 1})["y"]

    assert with_scaled() == 1
    monkeypatch.setitem(globals(), "scaled", lambda x: 10 * x)
    assert with_scaled() == 10

    class Half:
        def __init__(self, public, private):
            self.public, self._private = public, private

    class Keyed(Half):
        def __cache_key__(self):
            return self.public

    for kind, n in ((Half, 2), (Keyed, 1)):
        calls.clear()
        for private in (1, 2):
            made.run({"x": kind(0, private)})
        assert len(calls) == n


class Heard(ht.PipelineCallback):
    def __init__(self) -> None:
        self.events: list = []

    def on_nested_pipeline_start(self, parent_id, child_id, ctx):
        self.events.append(("nested_start", ctx.depth))

    def on_node_start(self, node_id, inputs, ctx):
        self.events.append((node_id, ctx.depth))


def test_callbacks(capsys) -> None:
    heard = Heard()
    inner = ht.Pipeline([inc], name="inner").as_node()
    ht.Pipeline([inner, double], engine=ht.SeqEngine(callbacks=[heard])).run({"x": 1})
    assert heard.events == [("inner", 1), ("nested_start", 1), ("inc", 2), ("double", 1)]
    hooks = {n for n in dir(ht.PipelineCallback) if n.startswith("on_")}
    theirs = (
        "pipeline_start pipeline_end node_start node_end node_cached error nested_pipeline_start nested_pipeline_end"
    )
    theirs += " map_start map_end map_item_start map_item_end map_item_cached"
    assert hooks == {f"on_{n}" for n in theirs.split()} | {"on_batch"}


def test_callbacks_that_raise(monkeypatch) -> None:
    told: list = []
    monkeypatch.setattr("sys.unraisablehook", lambda what: told.append(what.exc_value))

    class Raising(ht.PipelineCallback):
        def on_node_start(self, *_):
            raise ValueError("a hook")

    assert ht.Pipeline([inc], engine=ht.SeqEngine(callbacks=[Raising()])).run({"x": 1}) == {"y": 2}
    assert [str(t) for t in told] == ["a hook"]


loads: list = []


@ht.stateful
class Scaler:
    kind = "scaler"

    def __init__(self, by):
        loads.append(by)
        self.by = by

    def __len__(self):
        return self.by

    def __cache_key__(self):
        return "all the same"

    def scale(self, x):
        return x * self.by


def test_stateful() -> None:
    loads.clear()
    scaler = Scaler(3)
    assert loads == []
    threads = [threading.Thread(target=scaler.scale, args=(1,)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert loads == [3]
    assert (len(scaler), scaler.by, scaler.kind, scaler.scale(2)) == (3, 3, "scaler", 6)
    assert pickle.loads(pickle.dumps(scaler)).scale(2) == 6
    calls: list = []
    made = ht.Pipeline([counting(calls)], engine=ht.SeqEngine(cache=ht.MemoryCache()))
    loads.clear()
    for by in (1, 1, 2):
        made.run({"x": Scaler(by)})
    assert (len(calls), loads) == (2, [])


def test_dual_nodes() -> None:
    batches: list = []
    constant = object()

    def batch(x, k):
        batches.append((type(x), len(x), k is constant))
        return [v + 1 for v in x], x.to_pylist()

    dual = ht.DualNode(("y", "same"), lambda x, k: (x + 1, x), batch)
    made = ht.Pipeline([dual, double])
    assert made.run({"x": 1, "k": constant}) == {"y": 2, "same": 1, "z": 4}
    assert batches == []
    rows = made.map({"x": [1, 2, 3], "k": constant}, map_over="x")
    assert rows == [{"y": x + 1, "same": x, "z": 2 * x + 2} for x in (1, 2, 3)]
    assert batches == [(ht.Series, 3, True)]
    again, heard = made.copy(), Heard()
    again.engine = ht.SeqEngine(cache=ht.MemoryCache(), callbacks=[heard])
    for _ in range(2):
        assert again.map({"x": [1, 2, 3], "k": 0}, map_over="x") == rows
    assert len(batches) == 2
    assert len(heard.events) == 6
    with pytest.raises(RuntimeError, match="a batch of 2 rows gave 1 results"):
        ht.Pipeline([ht.DualNode("y", lambda x: x, lambda x: [1])]).map({"x": [1, 2]}, map_over="x")


def failing(w):
    raise AssertionError("pruned nodes do not run")


def test_selective_inputs(engine) -> None:
    pruned = ht.Pipeline([inc, ht.node(output_name="f")(failing)])
    assert pruned.run({"x": 1}, output_name="y", engine=engine) == {"y": 2}
    assert pruned.map({"x": [1, 2]}, map_over="x", output_name="y", engine=engine) == [{"y": 2}, {"y": 3}]
    nested = ht.Pipeline([ht.Pipeline([inc, double], name="inner").as_node(), ht.node(output_name="t")(lambda z: z)])
    assert nested.run({"x": 1}) == {"z": 4, "t": 4}
    assert nested.run({"x": 1}, output_name=["y", "t"]) == {"y": 2, "t": 4}


def test_pictures() -> None:
    inner = ht.Pipeline([inc], name="inner").as_node()
    outer = ht.Pipeline([inner, double], name="outer").bind(k=7)
    closed, opened = outer.visualize(), outer.visualize(depth=None)
    assert ">inner<" in closed
    assert ">inc<" not in closed
    assert ">inc<" in opened
    assert "= 7" in closed
    assert "script" in outer.visualize(interactive=True)
    with pytest.warns(UserWarning, match="no style 'modern'"):
        outer.visualize(style="modern")


def test_frames() -> None:
    a = ht.col("a")
    frame = ht.from_pydict({"a": [1, 2, None]})
    assert frame.with_column("b", a * 2 + 1).to_pydict()["b"] == [3, 5, None]
    assert frame.select(((a > 1) & (a < 5)).alias("t")).to_pydict() == {"t": [False, True, None]}
    assert frame.where(a >= 2).to_pydict() == {"a": [2]}
    for missing in ("sort", "join", "groupby", "agg"):
        assert not hasattr(frame, missing)
    assert not hasattr(a, "sum")
