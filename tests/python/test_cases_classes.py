"""Acceptance cases 31 to 37: classes, their processes and GPUs, dual nodes and coroutines, on every engine.

Case 32, the statements on class UDFs one by one, is test_class_statements.py and test_class_columns.py.
"""

# ctest: timeout=300
from __future__ import annotations

import asyncio
import os
import pickle
import re
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from pathlib import Path

import houndstooth as ht
import numpy as np
import pytest


def is_exact(engine):
    """Whether all items are under one scheduler, so that the sizes of batches are known; others run slices of maps."""
    return type(engine) in (ht.SequentialEngine, ht.ThreadEngine)


def in_processes(engine):
    return type(engine) is ht.ProcessEngine


def values(results, name):
    return [r[name] for r in results]


# ---- 31: loading ----


@ht.cls
class Held:
    """What it holds cannot be pickled: only its arguments can have travelled."""

    def __init__(self, factor, log):
        log("init", os.getpid())
        time.sleep(0.05)
        self.factor, self.lock = factor, threading.Lock()

    def times(self, x):
        with self.lock:
            return x * self.factor


def test_case_31_loaded_once_per_worker_under_concurrent_first_use(engine, log):
    held = Held(3, log)
    p = ht.Pipeline([ht.Node(lambda x, held: held.times(x), "y")])
    assert len(log) == 0
    for _ in range(2):
        assert values(p.map({"x": range(64), "held": held}, "x", engine=engine), "y") == [3 * x for x in range(64)]
    loaded = Counter(log.lines())
    assert set(loaded.values()) == {1}
    if in_processes(engine):
        assert 1 <= len(loaded) <= 2 and f"init {os.getpid()}" not in loaded
    else:
        assert list(loaded) == [f"init {os.getpid()}"]


def test_case_31_two_nodes_and_a_nested_map_share_one_object(engine, log):
    each = ht.Pipeline([ht.Node(lambda x, held: held.times(x), "y")], name="each").as_node(map_over="x")
    after = ht.Node(lambda y, held: [held.times(v) for v in y], "z")
    got = ht.Pipeline([each, after]).map({"x": [[1, 2], [], [3]] * 8, "held": Held(2, log)}, "x", engine=engine)
    assert values(got, "z") == [[4, 8], [], [12]] * 8
    assert set(Counter(log.lines()).values()) == {1}


def test_case_31_only_arguments_travel(log):
    held = Held(3, log)
    before = len(pickle.dumps(held))
    assert held.times(2) == 6 and len(log) == 1
    assert len(pickle.dumps(held)) == before
    again = pickle.loads(pickle.dumps(held))
    assert len(log) == 1  # not loaded by travelling
    assert again.times(3) == 9 and len(log) == 2


def test_case_31_eight_threads_make_one_object(log):
    held, got, start = Held(5, log), [], threading.Barrier(8)

    def call():
        start.wait()
        got.append(held.times(1))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert got == [5] * 8 and len(log) == 1


# ---- 33: rows, batches, coroutines ----


@ht.cls
class Many:
    """Every kind of method; each adds a number of its own to what it gets."""

    def __init__(self, log):
        self.log = log
        log("init")

    def row(self, x):
        self.log("row")
        return x + 1

    def listed(self, x):
        self.log("listed alone")
        return x + 10

    @ht.method.batch(batch_size=4)
    def listed_batch(self, xs):
        self.log("listed", len(xs))
        return [x + 10 for x in xs]

    def array(self, x):
        self.log("array alone")
        return x + 100

    @ht.method.batch(batch_size=8)
    def array_batch(self, xs: list):
        self.log("array", len(xs))
        return np.array(xs) + 100

    def series(self, x):
        self.log("series alone")
        return x + 1000

    @ht.method.batch
    def batch_series(self, xs: ht.Series):
        self.log("series", len(xs))
        return ht.Series.from_pylist([x + 1000 for x in xs])

    async def later(self, x):
        self.log("later")
        await asyncio.sleep(0.01 if x % 5 == 1 else 0)  # the first ends last
        return x + 10_000

    @ht.method.batch(batch_size=3)
    async def later_all(self, xs):
        self.log("later_all", len(xs))
        await asyncio.sleep(0.01 if xs[0] % 5 == 1 else 0)
        return [x + 100_000 for x in xs]


def sizes_of(kind, calls):
    """How many batches of each size."""
    lines = [(line.split(), times) for line, times in calls.items()]
    return {int(words[1]): times for words, times in lines if words[0] == kind and words[1:] != ["alone"]}


def test_case_33_every_kind_of_method_in_one_pipeline(engine, log):
    async def all_of(e, many):
        return (await many.later_all([e, e, e]))[2]

    async def alone(d, many):
        return await many.later(d)

    nodes = [
        ht.Node(lambda x, many: many.row(x), "a"),
        ht.Node(lambda a, many: many.listed(a), "b"),
        ht.Node(lambda b, many: many.array(b), "c"),
        ht.Node(lambda c, many: many.series(c), "d"),
        ht.Node(alone, "e"),
        ht.Node(all_of, "f"),
    ]
    n = 40
    got = ht.Pipeline(nodes).map({"x": range(n), "many": Many(log)}, "x", engine=engine)
    added = [1, 11, 111, 1111, 11_111, 111_111]
    assert [list(g.values()) for g in got] == [[x + a for a in added] for x in range(n)]
    calls = Counter(log.lines())
    assert calls["row"] == calls["later"] == calls["later_all 3"] == n
    sizes = {kind: sizes_of(kind, calls) for kind in ("listed", "array", "series")}
    if is_exact(engine):
        assert sizes == {"listed": {4: 10}, "array": {8: 5}, "series": {40: 1}} and calls["init"] == 1
    for kind, most in (("listed", 4), ("array", 8), ("series", n)):
        rows = sum(size * times for size, times in sizes[kind].items()) + calls[f"{kind} alone"]
        assert rows == n and max(sizes[kind]) <= most
        assert sum(sizes[kind].values()) + calls[f"{kind} alone"] <= n // 2  # batches everywhere


def test_case_33_methods_are_nodes(engine, log):
    many = Many(log)
    nodes = [ht.node(output_name="a")(many.row), ht.Node(many.listed, "b"), ht.Node(many.later, "c")]
    p = ht.Pipeline([nodes[0], ht.Node(lambda a: a, "x2"), ht.Pipeline([nodes[1]], name="in").as_node(), nodes[2]])
    assert nodes[0].root_args == ("x",) and nodes[0].name == "row" and nodes[2].is_async
    assert p.root_args == ("x",)
    got = p.map({"x": range(20)}, "x", engine=engine)
    assert [(g["a"], g["x2"], g["b"], g["c"]) for g in got] == [(x + 1, x + 1, x + 10, x + 10_000) for x in range(20)]
    calls = Counter(log.lines())
    assert calls["row"] == calls["later"] == 20
    if is_exact(engine):
        assert calls["listed 4"] == 5 and calls["listed alone"] == 0


def test_case_33_batch_methods_are_nodes_of_lists(engine, log):
    many = Many(log)
    p = ht.Pipeline([ht.Node(many.array_batch, "y"), ht.Node(many.later_all, "z")])
    assert p.root_args == ("xs",)
    got = p.run({"xs": [1, 2]}, engine=engine)
    assert list(got["y"]) == [101, 102] and got["z"] == [100_001, 100_002]
    got = p.map({"xs": [[x, x + 1, x + 2] for x in range(6)]}, "xs", engine=engine)
    assert [list(g["y"]) for g in got] == [[x + 100, x + 101, x + 102] for x in range(6)]
    assert [g["z"] for g in got] == [[x + 100_000, x + 100_001, x + 100_002] for x in range(6)]


# ---- 34: processes ----


class Odd(Exception):
    def __init__(self, what):
        super().__init__(what)
        self.lock = threading.Lock()  # so that it cannot be pickled


@ht.cls(use_process=True)
class Away:
    def where(self, x):
        return (x, os.getpid())

    def die(self, x, at):
        if x == at:
            os._exit(3)
        return x

    def fail(self, x, kind):
        raise KeyError("no such key") if kind == "key" else Odd("strange")


def test_case_34_in_a_process_of_its_own(engine):
    away = Away()
    p = ht.Pipeline([ht.Node(lambda x, away: away.where(x), "y")])
    first = values(p.map({"x": range(30), "away": away}, "x", engine=engine), "y")
    again = values(p.map({"x": range(30), "away": away}, "x", engine=engine), "y")
    assert [x for x, _ in first] == [x for x, _ in again] == list(range(30))
    pids, later = ({pid for _, pid in rows} for rows in (first, again))
    assert os.getpid() not in pids | later
    if in_processes(engine):  # its workers are processes already, two of them
        assert len(pids | later) <= 2
    else:
        assert len(pids) == 1 and pids == later  # kept between runs


def test_case_34_exceptions_arrive(engine):
    p = ht.Pipeline([ht.Node(lambda x, away, kind: away.fail(x, kind), "y")])
    with pytest.raises(KeyError) as raised:
        p.map({"x": range(4), "away": Away(), "kind": "key"}, "x", engine=engine)
    assert raised.value.args == ("no such key",)
    notes = "\n".join(raised.value.__notes__)
    assert "in fail" in notes and "item 0" in notes  # the traceback of the child, and where it was
    with pytest.raises(RuntimeError, match="Odd: strange") as raised:
        p.map({"x": range(4), "away": Away(), "kind": "odd"}, "x", engine=engine)
    assert "in fail" in "\n".join(raised.value.__notes__)


def test_case_34_a_crash_is_an_error_and_the_next_run_works(engine):
    p = ht.Pipeline([ht.Node(lambda x, away, at: away.die(x, at), "y")])
    away = Away()
    with pytest.raises(RuntimeError, match=r"worker \d+ ended with code 3") as raised:
        p.map({"x": range(6), "away": away, "at": 4}, "x", engine=engine)
    assert "item 4" in "\n".join([str(raised.value), *getattr(raised.value, "__notes__", [])])
    assert values(p.map({"x": range(6), "away": away, "at": None}, "x", engine=engine), "y") == list(range(6))


# ---- 35: GPUs ----


@pytest.mark.parametrize("gpus", [-1, 1.5, 2.5])
def test_case_35_shares_that_do_not_exist(gpus):
    with pytest.raises(ValueError, match=f"gpus is a share up to 1, or a whole number, not {gpus}"):
        ht.cls(gpus=gpus)


GPU_PROGRAM = """
    import os, sys, time
    import houndstooth as ht
    sys.path.insert(0, sys.argv[2])
    from engines_fixture import engine_of

    def where(self, x):
        time.sleep(0.01)
        return ht.current_device(), os.environ.get("CUDA_VISIBLE_DEVICES")

    def seen(gpus, **options):
        held = ht.cls(gpus=gpus, **options)(type("Held", (), {"where": where}))()
        p = ht.Pipeline([ht.Node(lambda x, held: held.where(x), "y")])
        try:
            return {r["y"] for r in p.map({"x": range(12), "held": held}, "x", engine=engine)}, held
        except Exception as error:
            return type(error).__name__ + ": " + str(error), held

    if __name__ == "__main__":
        engine = engine_of(sys.argv[1])
        whole, a = seen(1)          # holds one of two
        share, b = seen(0.5)        # half of the other
        other, c = seen(0.5)        # its other half
        too_much, d = seen(1)       # nothing is left
        too_many, e = seen(3)
        none, f = seen(0, use_process=True)
        print(repr((whole, share, other, too_much, too_many, none)))
"""


def gpu_program(engine, tmp_path):
    program = tmp_path / "gpus.py"
    program.write_text(textwrap.dedent(GPU_PROGRAM))
    package = str(Path(ht.__file__).parent.parent)
    names = {ht.SequentialEngine: "sequential", ht.ThreadEngine: "threads", ht.ProcessEngine: "processes"}
    name = names.get(type(engine)) or type(engine).__name__.removesuffix("Engine").lower()
    command = [sys.executable, "-W", "ignore", str(program), name, str(Path(__file__).parent)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "5,7", "PYTHONPATH": package}
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)
    assert done.returncode == 0, done.stderr
    return eval(done.stdout)


def test_case_35_slots_are_counted(engine, tmp_path):
    whole, share, other, too_much, too_many, none = gpu_program(engine, tmp_path)
    held = r"OverflowError: class '.*' wants .* GPU, and too much of the .* is held by other objects"
    if in_processes(engine):  # each worker sees the device that is its own, and holds it while it keeps the pipeline
        assert whole == {(0, "5"), (0, "7")}
        assert re.match(held, share)
        assert "wants 3 GPUs, and there is 1" in too_many
        assert {device for device, _ in none} == {-1}
    else:
        assert whole == {(0, "5,7")} and share == other == {(1, "5,7")}
        assert "wants 3 GPUs, and there are 2" in too_many
        assert none == {(-1, "")}  # its process sees none
        assert re.match(held, too_much)


# ---- 36: dual nodes ----


def dual(log):
    def one(a, k):
        log("one")
        return a * k[0]

    def many(a, k):
        log("many", len(a))
        return [x * k[0] for x in a.to_pylist()]

    return ht.DualNode("d", one, many)


class Factor:
    """Not a type that a column has."""

    def __init__(self, factor):
        self.factor = factor

    def __getitem__(self, at):
        return self.factor


def batched(log, engine, n):
    """All rows went in batches: one on one scheduler, else one a slice."""
    sizes = [int(line.split()[1]) for line in log.lines() if line.startswith("many")]
    assert sum(sizes) + log.lines().count("one") == n
    assert sizes == [n] if is_exact(engine) else len(sizes) + log.lines().count("one") <= 16


def test_case_36_run_is_singular_and_map_is_batch(engine, log):
    p = ht.Pipeline([ht.Node(lambda x: x + 1, "a"), dual(log), ht.Node(lambda d: -d, "e")])
    assert p.run({"x": 1, "k": Factor(3)}, engine=engine) == {"a": 2, "d": 6, "e": -6}
    assert log.lines() == ["one"]
    log.clear()
    got = p.map({"x": range(64), "k": Factor(3)}, "x", engine=engine)  # constants are objects, and come as they are
    assert values(got, "e") == [-3 * (x + 1) for x in range(64)]
    batched(log, engine, 64)


def test_case_36_in_nested_maps_too(engine, log):
    each = ht.Pipeline([dual(log), ht.Node(lambda d: d + 1, "e")], name="each").as_node(map_over="a")
    p = ht.Pipeline([each, ht.Node(lambda e: sum(e), "total")])
    assert p.run({"a": range(64), "k": [2]}, "total", engine=engine) == {"total": sum(2 * a + 1 for a in range(64))}
    batched(log, engine, 64)
    log.clear()
    lists = [list(range(i % 4)) for i in range(64)]
    got = p.map({"a": lists, "k": [2]}, "a", output_name="e", engine=engine)
    assert values(got, "e") == [[2 * a + 1 for a in one] for one in lists]
    batched(log, engine, sum(map(len, lists)))


def test_case_36_wrong_lengths(engine):
    for wrong in (lambda a: [1], lambda a: [0] * (len(a) + 1), lambda a: []):
        p = ht.Pipeline([ht.DualNode("d", lambda a: a, wrong), ht.Node(lambda d: d, "e")])
        with pytest.raises(RuntimeError, match=r"\d+ rows gave \d+"):
            p.map({"a": range(64)}, "a", engine=engine)


def test_case_36_cache_and_callbacks(make_engine, log, tmp_path):
    class Heard(ht.PipelineCallback):
        def __init__(self):
            self.nodes = Counter()

        def on_node_end(self, node_id, outputs, duration, ctx):
            self.nodes[node_id] += 1

        def on_node_cached(self, node_id, signature, ctx):
            self.nodes[node_id + " cached"] += 1

    heard = Heard()
    engine = make_engine(cache=ht.DiskCache(tmp_path / "cache"), callbacks=[heard])
    p = ht.Pipeline([dual(log), ht.Node(lambda d: -d, "e", cache=False)])
    name = p.nodes[0].name
    assert values(p.map({"a": range(20), "k": [2]}, "a", engine=engine), "d") == [2 * a for a in range(20)]
    assert heard.nodes == {name: 20, "<lambda>": 20}
    assert values(p.map({"a": range(10, 40), "k": [2]}, "a", engine=engine), "d") == [2 * a for a in range(10, 40)]
    assert heard.nodes == {name: 40, f"{name} cached": 10, "<lambda>": 50}
    rows = sum(int(line.split()[1]) if line != "one" else 1 for line in log.lines())
    assert rows == 40  # each once


# ---- 37: coroutines ----


@ht.node(output_name="y")
async def wait(x):
    await asyncio.sleep(0.005)
    return 10 * x


def test_case_37_items_overlap(engine):
    p = ht.Pipeline([wait])
    p.map({"x": range(50)}, "x", engine=engine)  # workers and loops are started
    took = []
    for _ in range(5):
        started = time.perf_counter()
        got = p.map({"x": range(50)}, "x", engine=engine)
        took.append(time.perf_counter() - started)
        assert values(got, "y") == [10 * x for x in range(50)]
    assert min(took) < 0.06, took  # one after the other: .25


def test_case_37_independent_nodes_overlap(engine):
    async def slow(x):
        await asyncio.sleep(0.05)
        return x

    p = ht.Pipeline([ht.Node(slow, name) for name in ("p",)] + [named(slow, f"q{i}") for i in range(9)])
    for given, of in (({"x": 1}, p.run), ({"x": [1, 2]}, lambda i, engine: p.map(i, "x", engine=engine)[1])):
        started = time.perf_counter()
        got = of(given, engine=engine)
        assert time.perf_counter() - started < 0.25 and len(got) == 10  # one after the other: .5


def named(function, name):
    made = ht.Node(function, name)
    made.name = name
    return made


def test_case_37_inside_a_running_loop(engine):
    async def main():
        p = ht.Pipeline([wait])
        here = p.map({"x": [1, 2]}, "x", engine=engine)
        one = p.run({"x": 3}, engine=engine)
        there = await p.amap({"x": [1, 2]}, "x", engine=engine)
        return here, there, one, await p.arun({"x": 3}, engine=engine)

    here, there, one, other = asyncio.run(main())
    assert here == there == [{"y": 10}, {"y": 20}] and one == other == {"y": 30}


class Mine(RuntimeError):
    pass


def test_case_37_the_exception_is_the_nodes_own(engine):
    async def fail(x):
        await asyncio.sleep(0.001)
        raise Mine(f"item {x}")

    p = ht.Pipeline([ht.Node(fail, "y")])

    async def main():
        with pytest.raises(Mine, match="item 1") as inside:
            p.run({"x": 1}, engine=engine)
        with pytest.raises(Mine, match="item 2"):
            await p.arun({"x": 2}, engine=engine)
        return inside.value

    assert any("node 'fail'" in note for note in asyncio.run(main()).__notes__)
    with pytest.raises(Mine, match="item 7") as raised:
        p.map({"x": [7]}, "x", engine=engine)
    assert any("node 'fail', item 0" in note for note in raised.value.__notes__)


# ---- dual nodes of several outputs ----


def test_a_dual_node_of_two_outputs_takes_columns_not_rows(make_engine):
    def one(x):
        return x, -x

    def columns(x):
        return [2 * v // 2 for v in x], [-v for v in x]

    def rows(x):
        return [(v, -v) for v in x]

    good = ht.Pipeline([ht.DualNode(("a", "b"), one, columns)])
    assert good.map({"x": [1, 2]}, "x", engine=make_engine()) == [{"a": 1, "b": -1}, {"a": 2, "b": -2}]
    for xs in ([1, 2] * 8, list(range(80))):  # slices of two rows among them, as many as outputs
        with pytest.raises(TypeError, match="2 outputs are named: a tuple of as many columns is wanted, not a .*list"):
            ht.Pipeline([ht.DualNode(("a", "b"), one, rows)]).map({"x": xs}, "x", engine=make_engine())
