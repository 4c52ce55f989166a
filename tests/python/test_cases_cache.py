"""Acceptance cases 25 to 30: what a cache keeps, under which keys, and who may use it at a time."""

# ctest: timeout=300
from __future__ import annotations

import dataclasses
import subprocess
import sys
import textwrap
import threading
import time

import houndstooth as ht
import numpy as np
import pytest


def noted(log, output="w", **options):
    """A node of `a` and `k` that notes its calls."""

    def work(a, k=0):
        log("work", a)
        return (a, k)

    return ht.Node(work, output, **options)


def test_case_25_hits_and_misses(make_engine, log, tmp_path):
    engine = make_engine(cache=ht.DiskCache(tmp_path / "cache"))
    after = ht.Node(lambda w: log("after") or w[0] + 1, "x")
    p = ht.Pipeline([noted(log), after], engine=engine)
    assert p.run({"a": 1}) == p.run({"a": 1}) == {"w": (1, 0), "x": 2}
    assert log.lines() == ["work 1", "after"]
    assert p.run({"a": 2})["x"] == 3 and log.lines()[2:] == ["work 2", "after"]
    assert p.run({"a": 1, "k": 5})["x"] == 2 and log.lines()[4:] == ["work 1", "after"]
    p.bind(k=5)
    p.run({"a": 1})
    assert len(log) == 6
    p.bind(k=6)
    p.run({"a": 1})
    assert len(log) == 8


def test_case_25_a_change_upstream_that_changes_nothing_downstream(make_engine, log, tmp_path):
    engine = make_engine(cache=ht.DiskCache(tmp_path / "cache"))
    after = ht.Node(lambda s: log("after") or s + 1, "x")
    for first in (lambda a: a % 2, lambda a: a & 1):
        for a in (1, 3):
            assert ht.Pipeline([ht.Node(first, "s"), after]).run({"a": a}, engine=engine)["x"] == 2
    assert log.lines() == ["after"]  # one value ever reached it


HELP = 1


def helper(a):
    return a + HELP


def test_case_25_code_of_helpers_globals_defaults_and_closures(log, tmp_path, monkeypatch):
    engine = ht.SequentialEngine(cache=ht.DiskCache(tmp_path / "cache"))

    def run(function):
        return ht.Pipeline([ht.Node(function, "y")], engine=engine).run({"a": 10})["y"]

    def uses_helper(a):
        return helper(a)

    assert run(uses_helper) == 11
    monkeypatch.setattr(sys.modules[__name__], "HELP", 2)
    assert run(uses_helper) == 12
    monkeypatch.setattr(sys.modules[__name__], "helper", lambda a: a - HELP)
    assert run(uses_helper) == 8
    for k in (1, 2):
        assert run(lambda a, k=k: a * k) == 10 * k  # a default
        by = {"value": k}
        assert run(lambda a: a * by["value"]) == 10 * k  # a closure  # noqa: B023


def test_case_26_opting_out(make_engine, log, tmp_path):
    engine = make_engine(cache=ht.DiskCache(tmp_path / "cache"))
    p = ht.Pipeline([noted(log, cache=False)], engine=engine)
    p.run({"a": 1}), p.run({"a": 1})
    assert len(log) == 2
    whole = ht.Pipeline([ht.Pipeline([noted(log)], name="in").as_node(cache=False)], engine=engine)
    whole.run({"a": 1}), whole.run({"a": 1})
    assert len(log) == 4
    off = make_engine()
    ht.Pipeline([noted(log)]).run({"a": 1}, engine=off), ht.Pipeline([noted(log)]).run({"a": 1}, engine=off)
    assert len(log) == 6


def test_case_26_items_hit_one_by_one(make_engine, log, tmp_path):
    engine = make_engine(cache=ht.DiskCache(tmp_path / "cache"))
    p = ht.Pipeline([noted(log)], engine=engine)
    first = p.map({"a": range(20)}, "a")
    assert len(log) == 20
    again = p.map({"a": range(10, 30)}, "a")
    assert len(log) == 30 and [r["w"][0] for r in again] == list(range(10, 30)) and again[:10] == first[10:]
    each = ht.Pipeline([noted(log)], name="each").as_node(map_over="a")
    assert ht.Pipeline([each], engine=engine).run({"a": [5, 29, 30]})["w"] == [(5, 0), (29, 0), (30, 0)]
    assert len(log) == 31
    p.run({"a": 30})
    assert len(log) == 31


@dataclasses.dataclass
class Config:
    name: str
    sizes: list


class Keyed:
    def __init__(self, key, other):
        self.key, self.other = key, other

    def __cache_key__(self):
        return self.key


class Private:
    def __init__(self, value):
        self.public, self._value = 1, value


def test_case_27_objects_as_inputs(make_engine, log, tmp_path):
    engine = make_engine(cache=ht.DiskCache(tmp_path / "cache"))

    def work(a):
        log("work")
        return 1

    p = ht.Pipeline([ht.Node(work, "w")], engine=engine)

    def calls(*values):
        log.clear()
        for v in values:
            p.run({"a": v})
        return len(log)

    assert calls(Config("a", [1]), Config("a", [1])) == 1
    assert calls(Config("a", [2]), Config("b", [1])) == 2
    assert calls(Keyed("k", 1), Keyed("k", 2)) == 1
    assert calls(Keyed("l", 1), Keyed("m", 1)) == 2
    assert calls(Private(1), Private(2), Private(1)) == 2  # private state counts too
    assert calls(np.arange(4), np.arange(4), np.arange(4.0), np.arange(4).reshape(2, 2)) == 3
    assert calls({"x": 1, "y": 2}, {"x": 1, "y": 2}, {"x": 1}) == 2


def test_case_27_instances_of_classes(make_engine, log, tmp_path):
    @ht.cls
    class Scale:
        def __init__(self, by, other=0):
            self.by = by

        def times(self, x):
            return x * self.by

    def work(a, scale):
        log("work")
        return scale.times(a)

    p = ht.Pipeline([ht.Node(work, "w")], engine=make_engine(cache=ht.DiskCache(tmp_path / "cache")))
    assert p.run({"a": 2, "scale": Scale(3)}) == p.run({"a": 2, "scale": Scale(3)}) == {"w": 6}
    assert len(log) == 1  # another object of the same arguments
    assert p.run({"a": 2, "scale": Scale(4)}) == {"w": 8} and len(log) == 2


def test_case_28_types_never_meet(make_engine, log, tmp_path):
    engine = make_engine(cache=ht.DiskCache(tmp_path / "cache"))
    p = ht.Pipeline([noted(log)], engine=engine)
    values = [1, "1", 1.0, True, b"1", None, "None", [1], (1,), {1}, frozenset({1}), {1: 1}, {"1": 1}, 0, False, "", []]
    for _ in range(2):
        for v in values:
            got = p.run({"a": v})["w"][0]
            assert got == v and type(got) is type(v)
    assert len(log) == len(values)


def test_case_28_wiring_never_meets(make_engine, log, tmp_path):
    engine = make_engine(cache=ht.DiskCache(tmp_path / "cache"))

    def run(node, **inputs):
        return ht.Pipeline([node], engine=engine).run(inputs)

    def pipeline(k):
        return ht.Pipeline([noted(log)], name="in").bind(k=k)

    for k in (2, 3):
        assert run(pipeline(k).as_node(), a=1) == {"w": (1, k)}
    both = {"map_over": ["a", "k"], "name": "in"}
    free = ht.Pipeline([noted(log)], name="in")
    assert run(free.as_node(**both), a=[1, 2], k=[3, 4]) == {"w": [(1, 3), (2, 4)]}
    assert len(run(free.as_node(map_mode="product", **both), a=[1, 2], k=[3, 4])["w"]) == 4
    for name in ("one", "two"):
        assert run(free.as_node(output_mapping={"w": name}), a=1, k=0) == {name: (1, 0)}
    dual = [ht.DualNode("d", singular=lambda a: a, batch=plus(by)) for by in (10, 20)]
    got = [ht.Pipeline([d], engine=engine).map({"a": [1, 2] * 16}, "a")[0] for d in dual]
    assert got == [{"d": 11}, {"d": 21}]


def plus(by):
    return lambda a: [x + by for x in a.to_pylist()]


class Heard(ht.PipelineCallback):
    def __init__(self):
        self.seen = []

    def on_node_start(self, node_id, inputs, ctx):
        self.seen.append("start")

    def on_node_end(self, node_id, outputs, duration, ctx):
        self.seen.append("end")

    def on_node_cached(self, node_id, signature, ctx):
        self.seen.append("cached")


def test_case_29_none_and_events(make_engine, log, tmp_path):
    heard = Heard()
    engine = make_engine(cache=ht.DiskCache(tmp_path / "cache"), callbacks=[heard])

    def nothing(a):
        log("work")

    p = ht.Pipeline([ht.Node(nothing, "n")], engine=engine)
    assert p.run({"a": 1}) == p.run({"a": 1}) == {"n": None}
    assert len(log) == 1 and heard.seen == ["start", "end", "cached"]
    heard.seen.clear()
    p.map({"a": [1, 2, 1]}, "a")
    assert len(log) in (2, 3)  # equal items of one map may run side by side
    p.map({"a": [1, 2, 1]}, "a")
    assert heard.seen[-3:] == ["cached"] * 3 and len(log) in (2, 3)


THREE_LEVELS = """
    import sys
    import houndstooth as ht

    def work(a):
        with open(sys.argv[2], "a") as f:
            f.write("x")
        return a * 10

    level = ht.Pipeline([ht.Node(work, "w")], name="level0")
    for i in range(3):
        level = ht.Pipeline([level.as_node(map_over="a", name=f"n{i}")], name=f"level{i + 1}")
    engine = ht.SequentialEngine(cache=ht.DiskCache(sys.argv[1]))
    print(level.run({"a": [[[1, 2]], [[3], []]]}, engine=engine))
"""


def test_case_30_another_process_finds_it(tmp_path):
    script = tmp_path / "three_levels.py"
    script.write_text(textwrap.dedent(THREE_LEVELS))
    command = [sys.executable, str(script), str(tmp_path / "cache"), str(tmp_path / "calls")]
    said = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert said[0] == said[1] == "{'w': [[[10, 20]], [[30], []]]}\n"
    assert (tmp_path / "calls").read_text() == "xxx"


FOUR_PROCESSES = """
    import sys
    import houndstooth as ht

    cache = ht.DiskCache(sys.argv[1])
    p = ht.Pipeline([ht.Node(lambda a: {"value": a * 3}, "w")], engine=ht.ThreadEngine(2, cache=cache))
    for _ in range(3):
        got = p.map({"a": list(range(300))}, "a")
        assert [g["w"]["value"] for g in got] == [3 * a for a in range(300)]
"""


def test_case_30_eight_threads_and_four_processes(tmp_path):
    script = tmp_path / "four_processes.py"
    script.write_text(textwrap.dedent(FOUR_PROCESSES))
    path = str(tmp_path / "cache")
    running = [
        subprocess.Popen([sys.executable, str(script), path], stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    cache = ht.DiskCache(path)
    failures = []

    def work(number):
        try:
            for i in range(200):
                cache.put(("mine", number, i), [number, i])
                assert cache.get(("mine", number, i)) == [number, i]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for r in running:
        _, said = r.communicate(timeout=120)
        assert r.returncode == 0, said
    assert not failures
    assert cache.stats()["entries"] >= 8 * 200 + 300


def test_case_30_ten_thousand_puts_are_linear(tmp_path):
    cache = ht.DiskCache(tmp_path)
    times = []
    for part in range(5):
        started = time.perf_counter()
        for i in range(2000):
            cache.put((part, i), {"value": i})
        times.append(time.perf_counter() - started)
    assert cache.stats()["entries"] == 10_000
    assert min(times[3:]) < 3 * min(times[:2]), times
    assert all(cache.get((p, i)) == {"value": i} for p in range(5) for i in range(0, 2000, 97))


def test_case_30_a_killed_map_goes_on(tmp_path, log):
    script = tmp_path / "killed.py"
    script.write_text(
        textwrap.dedent("""
        import os, sys, time
        import houndstooth as ht

        def work(a):
            if a == 30 and len(sys.argv) > 2:
                os.kill(os.getpid(), 9)
            with open(sys.argv[1] + "/calls", "a") as f:
                f.write("x")
            time.sleep(0.004)
            return a

        p = ht.Pipeline([ht.Node(work, "w")], engine=ht.SequentialEngine(cache=ht.DiskCache(sys.argv[1] + "/cache")))
        print(len(p.map({"a": range(50)}, "a")))
    """)
    )
    command = [sys.executable, str(script), str(tmp_path)]
    assert subprocess.run([*command, "kill"]).returncode == -9
    done = (tmp_path / "calls").stat().st_size
    assert done == 30
    assert subprocess.run(command, capture_output=True, text=True).stdout == "50\n"
    assert 50 <= (tmp_path / "calls").stat().st_size <= 50 + 6  # but the last 5 ms, nothing is made again


@pytest.mark.parametrize(
    "make", [lambda path: ht.DiskCache(path), lambda path: ht.MemoryCache()], ids=["disk", "memory"]
)
def test_case_30_get_put_has_clear(tmp_path, make):
    cache = make(tmp_path / "cache")
    assert cache.get("k") is None and cache.get("k", 5) == 5 and not cache.has("k")
    cache.put("k", None)
    assert cache.has("k") and cache.get("k", 5) is None
    cache.put(("a", 1), [1, (2,), {"x"}])
    assert cache.get(("a", 1)) == [1, (2,), {"x"}] and cache.get(("a", 1.0), "no") == "no"
    cache.clear()
    assert not cache.has("k") and cache.stats()["entries"] == 0
