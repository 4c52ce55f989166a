"""Statements on class UDFs, one by one, under the numbers that they have for Daft's: acceptance case 32.

Those named `differs` say what is done better here; docs/differences.md has them under the same numbers.
13 and 14, on rows and columns that one call makes, are in test_class_columns.py.
"""

# ctest: timeout=300
from __future__ import annotations

import asyncio
import gc
import os
import pickle
import threading
import time
from collections import Counter
from pathlib import Path

import houndstooth as ht
import numpy as np
import pytest
from houndstooth import DataType, Series, col, lit, method
from houndstooth._pickle import dumps

CALLS: list = []


@pytest.fixture(autouse=True)
def calls():
    CALLS.clear()
    return CALLS


@ht.cls
class Encoder:
    """What it is for."""

    KIND = "encoder"

    def __init__(self, factor=1):
        CALLS.append("init")
        self.factor = factor

    def row(self, x: int, k: int = 1) -> int:
        CALLS.append(("row", x, k))
        return None if x is None else x * self.factor * k

    def __call__(self, x):
        return x + self.factor

    @method.batch
    def whole(self, xs, k=1):
        CALLS.append(("whole", type(xs).__name__, type(k).__name__, len(xs)))
        return [x * self.factor for x in xs]

    @property
    def twice(self):
        return 2 * self.factor

    @staticmethod
    def plain(x):
        return x

    @classmethod
    def named(cls):
        return cls.__name__


def frame(**columns):
    return ht.from_pydict(columns or {"x": [1, 2, 3]})


def column(expr, **columns):
    """The one column that the expression gives."""
    (made,) = frame(**columns).select(expr).to_pydict().values()
    return made


# ---- laziness and lifetime ----


def test_statement_01_construction_keeps_the_arguments():
    encoder = Encoder(3)
    made = frame().with_column("y", encoder.row(col("x")))
    assert CALLS == [] and repr(encoder) == "Encoder(3)"
    assert made.to_pydict() == {"x": [1, 2, 3], "y": [3, 6, 9]}
    assert CALLS.count("init") == 1


def test_statement_02_differs_everything_of_the_class_can_be_reached():
    encoder = Encoder(3)
    assert (Encoder.KIND, Encoder.__name__, Encoder.__doc__) == ("encoder", "Encoder", "What it is for.")
    assert isinstance(encoder, Encoder) and CALLS == []
    assert (encoder.factor, encoder.twice, encoder.KIND) == (3, 6, "encoder")
    assert (encoder.plain(5), encoder.named(), Encoder.plain(6)) == (5, "Encoder", 6)
    encoder.factor = 10
    assert encoder.twice == 20 and CALLS.count("init") == 1
    with pytest.raises(AttributeError, match="nothing"):
        encoder.nothing  # noqa: B018


def test_statement_03_methods_need_no_decorator_and_are_bound_to_their_object():
    two, three = Encoder(2), Encoder(3)
    assert two.row is not two.row
    assert (two.row(5), three.row(5), two(5), three(5)) == (10, 15, 7, 8)
    kept = two.row
    assert kept(1) == 2 and kept.__self__ is two
    assert column(two(col("x"))) == [3, 4, 5] and column(three(col("x"))) == [4, 5, 6]


def test_statement_04_calls_without_columns_are_made_at_once():
    encoder = Encoder(2)
    assert [encoder.row(x) for x in (1, 2)] == [2, 4] and CALLS.count("init") == 1
    for given in (Series.from_pylist([1, 2]), [1, 2], (1, 2), np.array([1, 2])):
        got = encoder.whole(given)
        assert type(got) is list and got == [2, 4]  # what the method gave, as it is
    assert CALLS.count("init") == 1


def test_statement_05_calls_with_columns_are_expressions():
    encoder = Encoder(2)
    exprs = [encoder.row(col("y")), encoder.row(5, k=col("x")).alias("z"), encoder.whole(xs=col("x"))]
    assert CALLS == []
    got = frame(x=[1, 2], y=[3, 4]).select(*exprs).to_pydict()
    assert got == {"y": [6, 8], "z": [10, 20], "x": [2, 4]}
    assert list(frame().select(encoder.row(lit(7))).to_pydict()) == ["literal"]
    assert list(frame().select(encoder.row(7, k=col("x"))).to_pydict()) == ["x"]  # a plain value names nothing


def test_statement_06_pickles_are_arguments():
    encoder = Encoder(2)
    before = pickle.dumps(encoder)
    assert encoder.row(1) == 2
    assert pickle.dumps(encoder) == before
    again = pickle.loads(before)
    assert CALLS.count("init") == 1
    assert again.row(1) == 2 and CALLS.count("init") == 2


def test_statement_07_differs_concurrent_first_calls_load_once():
    made = []

    @ht.cls
    class Slow:
        def __init__(self):
            made.append(1)
            time.sleep(0.05)

        def get(self, x):
            return x

        @method.batch(batch_size=10)
        def whole(self, xs):
            return list(xs)

    slow, start = Slow(), threading.Barrier(4)
    threads = [threading.Thread(target=lambda: start.wait() or slow.get(1)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert made == [1]
    got = frame(x=list(range(40))).select(Slow().whole(col("x"))).collect(engine=ht.ThreadEngine(2)).to_pydict()
    assert got["x"] == list(range(40)) and made == [1, 1]


def test_statement_08_two_objects_have_their_own_state():
    two, three = Encoder(2), Encoder(3)
    got = frame().select(two.row(col("x")).alias("a"), three.row(col("x")).alias("b"), two.whole(col("x")).alias("c"))
    assert got.to_pydict() == {"a": [2, 4, 6], "b": [3, 6, 9], "c": [2, 4, 6]}
    assert CALLS.count("init") == 2


def test_statement_09_differs_what_cannot_travel_is_an_error_where_it_would(peer):
    daft = peer("daft")
    locked = Encoder(threading.Lock())
    assert locked.factor.acquire(blocking=False)  # nothing travels here
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock'"):
        locked.row(daft.col("x"))  # when the expression is built
    p = ht.Pipeline([ht.Node(lambda x, locked: locked.plain(x), "y")])
    with pytest.raises(TypeError, match=r"cannot pickle '_thread\.lock'"):
        p.map({"x": range(4), "locked": locked}, "x", engine=ht.ProcessEngine(2))


@pytest.mark.parametrize("name", ["__exit__", "close"])
def test_statement_10_differs_objects_are_closed(name):
    closed = []
    space = {"get": lambda self, x: x, name: lambda self, *error: closed.append(len(error))}
    held = ht.cls(type("Held", (), space))()
    assert held.get(1) == 1
    p = ht.Pipeline([ht.Node(lambda x, held: held.get(x), "y")])
    assert p.map({"x": range(3), "held": held}, "x") == [{"y": 0}, {"y": 1}, {"y": 2}] and closed == []
    del held
    gc.collect()
    assert closed == [3 if name == "__exit__" else 0]
    ht.cls(type("Held", (), space))()  # never used, so there is nothing to close
    gc.collect()
    assert len(closed) == 1


# ---- row by row ----


def test_statement_11_one_call_a_row_with_plain_values():
    thing = object()

    @ht.cls
    class Seen:
        def see(self, x, k, thing):
            CALLS.append((x, k, thing))
            return x

    assert column(Seen().see(col("x"), 7, thing=lit(thing)), x=[1, None, 3]) == [1, None, 3]
    seen = list(CALLS)
    assert seen == [(x, 7, thing) for x in (1, None, 3)]


def test_statement_12_differs_types_need_no_hint_and_values_are_not_cast():
    @ht.cls
    class Free:
        def free(self, x):
            return x if x < 3 else str(x)

        def says_text(self, x) -> str:
            return x

        @method(return_dtype=DataType.float64())
        def real(self, x):
            return x

    free = Free()
    assert free.free(1) == 1
    assert column(free.free(col("x"))) == [1, 2, "3"]
    assert column(free.says_text(col("x"))) == [1, 2, 3]  # an annotation is no cast
    got = column(free.real(col("x")))
    assert got == [1.0, 2.0, 3.0] and {type(v) for v in got} == {float}  # a return_dtype is


# ---- batches ----


@ht.cls
class Giving:
    @method.batch
    def give(self, xs: Series, how):
        return how(xs)

    @method.batch(return_dtype=DataType.float64())
    def real(self, xs):
        return [1, 2.5, 3]

    @method.batch(return_dtype=DataType.int64())
    def whole(self, xs):
        return [1, 2.5, 3]


def test_statement_15_what_a_batch_gets_and_gives(peer):
    pa = peer("pyarrow")
    ways = {
        "Series": lambda xs: xs,
        "list": list,
        "array": lambda xs: np.array(xs.to_pylist()),
        "Array": lambda xs: pa.array(xs.to_pylist()),
        "ChunkedArray": lambda xs: pa.chunked_array([xs.to_pylist()[:1], xs.to_pylist()[1:]]),
    }
    for name, how in ways.items():
        assert column(Giving().give(col("x"), how)) == [1, 2, 3], name
    for how in (lambda xs: None, lambda xs: 7, iter):
        with pytest.raises(TypeError, match="a batch method gives a list, an array or a Series"):
            column(Giving().give(col("x"), how))
    encoder = Encoder()
    for k in (7, lit(7)):  # a literal is a value, however it is written
        CALLS.clear()
        assert column(encoder.whole(col("x"), k)) == [1, 2, 3]
        assert [c for c in CALLS if c != "init"] == [("whole", "Series", "int", 3)]
    assert column(Giving().real(col("x"))) == [1.0, 2.5, 3.0]
    with pytest.raises((TypeError, ValueError, OverflowError), match="2.5|row 1"):  # nothing is lost in silence
        column(Giving().whole(col("x")))


def test_statement_16_differs_a_batch_needs_no_return_dtype():
    assert column(Giving().give(col("x"), list)) == [1, 2, 3]
    assert column(Giving().give(col("x"), lambda xs: [{"a": (x,)} for x in xs])) == [{"a": (x,)} for x in (1, 2, 3)]


@ht.cls
class Cut:
    @method.batch(batch_size=64)
    def cut(self, xs):
        CALLS.append(len(xs))
        return list(xs)

    @method.batch
    def uncut(self, xs):
        CALLS.append(len(xs))
        return list(xs)


def test_statement_17_batch_size():
    rows = list(range(1000))
    assert column(Cut().cut(col("x")), x=rows) == rows and CALLS == [64] * 15 + [40]
    CALLS.clear()
    assert column(Cut().uncut(col("x")), x=rows) == rows and CALLS == [1000]
    with pytest.raises(TypeError, match="method.. has no option 'batch_size'"):
        method(batch_size=3)
    for wrong in (0, -1, 2.5):
        with pytest.raises(ValueError, match="batch_size is at least 1"):
            method.batch(batch_size=wrong)
        with pytest.raises(ValueError, match="batch_size is at least 1"):
            ht.func.batch(list, batch_size=wrong)
    assert column(Cut().cut(col("x"))) == [1, 2, 3]  # nothing is broken by that


def test_statement_18_differs_lengths_agree_unless_one_is_to_stand_for_all():
    @ht.cls
    class One:
        @method.batch
        def alone(self, xs, n):
            return [0] * n

        @method.batch(broadcast=True)
        def for_all(self, xs, n):
            return [0] * n

    for n in (1, 2, 4):
        with pytest.raises(RuntimeError, match=f"a batch of 3 rows gave {n} results"):
            column(One().alone(col("x"), n))
    assert column(One().for_all(col("x"), 1)) == [0, 0, 0]
    with pytest.raises(RuntimeError, match="a batch of 3 rows gave 2 results"):
        column(One().for_all(col("x"), 2))


@ht.cls
class Paired:
    def __init__(self, log):
        self.log = log

    def encode(self, x, k=1):
        self.log("row")
        return x * k

    @method.batch
    def encode_batch(self, xs, k=1):
        self.log("batch")
        return [x * k for x in xs]


def test_statement_19_differs_batches_stand_in_for_rows_of_nodes(engine, log):
    p = ht.Pipeline([ht.Node(lambda x, paired: paired.encode(x, k=2), "y")])
    got = p.map({"x": range(32), "paired": Paired(log)}, "x", engine=engine)
    assert [g["y"] for g in got] == [2 * x for x in range(32)]
    calls = Counter(log.lines())
    if type(engine) in (ht.SequentialEngine, ht.ThreadEngine):
        assert calls == {"batch": 1}
    else:
        assert calls["batch"] >= 1 and calls["batch"] + calls["row"] <= 16  # one a slice
    log.clear()
    assert column(Paired(log).encode(col("x"))) == [1, 2, 3] and log.lines() == ["row"] * 3  # of a frame: as it says


# ---- coroutines ----


class Flight:
    """How many are under way, and the most that there were."""

    def __init__(self):
        self.now = self.most = 0

    def __enter__(self):
        self.now += 1
        self.most = max(self.most, self.now)

    def __exit__(self, *error):
        self.now -= 1


def flying(flight, **options):
    @ht.cls(**options)
    class Flying:
        async def row(self, x):
            with flight:
                CALLS.append(threading.get_ident())
                await asyncio.sleep(0.005)
            return x

        @method.batch(batch_size=10)
        async def whole(self, xs):
            with flight:
                await asyncio.sleep(0.05 if xs[0] == 0 else 0.01)
            return list(xs)

    return Flying()


def test_statement_20_coroutines_overlap_on_a_loop_of_their_own():
    flight = Flight()
    started = time.perf_counter()
    assert column(flying(flight).row(col("x")), x=list(range(100))) == list(range(100))
    assert time.perf_counter() - started < 0.25  # one after the other: .5
    assert flight.most == 100 and len(set(CALLS)) == 1 and threading.get_ident() not in CALLS
    assert asyncio.run(flying(flight).row(3)) == 3  # called at once: to be awaited


@pytest.mark.parametrize("most", [1, 4])
def test_statement_21_differs_max_concurrency_bounds_coroutines(most):
    flight = Flight()
    limited = flying(flight, max_concurrency=most)
    assert column(limited.row(col("x")), x=list(range(24))) == list(range(24)) and flight.most == most

    async def body(x, limited):
        return await limited.row(x)

    for nodes, inputs in (([ht.Node(body, "y")], {"limited": limited}), ([ht.Node(limited.row, "y")], {})):
        flight.most = 0
        got = ht.Pipeline(nodes).map({"x": range(24), **inputs}, "x")
        assert [g["y"] for g in got] == list(range(24)) and flight.most == most
    flight.most = 0
    assert column(limited.whole(col("x")), x=list(range(60))) == list(range(60)) and flight.most == most


def test_statement_22_differs_asynchronous_batches_keep_their_order():
    flight = Flight()
    assert column(flying(flight).whole(col("x")), x=list(range(100))) == list(range(100))
    assert flight.most == 10  # all at once, the first of them the slowest


# ---- processes, objects, GPUs ----


@ht.cls(use_process=True)
class Away:
    async def later(self, x):
        await asyncio.sleep(0.01)
        return (x, os.getpid())

    @method.batch
    async def many(self, xs):
        return [(type(xs).__name__, x, os.getpid()) for x in xs]

    async def fail_later(self, x):
        raise KeyError(x)

    def items(self, x):
        yield x
        yield os.getpid()

    def objects(self, x):
        return [{"x": (x,)}, os.getpid()]

    def fail(self, x):
        raise KeyError(x)

    def die(self, x):
        os._exit(4)


def test_statement_23_coroutines_in_processes():
    got = column(Away().later(col("x")), x=list(range(20)))
    assert [x for x, _ in got] == list(range(20))
    assert len({pid for _, pid in got}) == 1 and os.getpid() not in {pid for _, pid in got}


def test_statement_23_coroutines_in_processes_called_at_once(engine):
    away = Away()
    again, pid = asyncio.run(away.later(3))
    assert again == 3 and pid != os.getpid()
    assert asyncio.run(away.many([1, 2])) == [("Series", 1, pid), ("Series", 2, pid)]

    async def several():
        ticks = []

        async def tick():
            while True:
                ticks.append(1)
                await asyncio.sleep(0.001)

        ticking = asyncio.create_task(tick())
        got = await asyncio.gather(*(away.later(x) for x in range(4)))
        ticking.cancel()
        return got, len(ticks)

    got, n_ticks = asyncio.run(several())
    assert got == [(x, pid) for x in range(4)] and n_ticks > 10  # the caller's loop goes on
    with pytest.raises(KeyError) as raised:
        asyncio.run(away.fail_later("x"))
    assert raised.value.args == ("x",) and "in fail_later" in "\n".join(raised.value.__notes__)

    async def body(x, away):
        return (await away.later(x))[0]

    p = ht.Pipeline([ht.Node(body, "y")])
    assert p.map({"x": range(6), "away": away}, "x", engine=engine) == [{"y": x} for x in range(6)]
    assert list(away.items(2)) == [2, pid]  # a generator too


def test_statement_24_max_concurrency_bounds_objects(engine, log):
    @ht.cls(max_concurrency=2)
    class Pool:
        def __init__(self, log):
            log("init", os.getpid())

        def get(self, x):
            time.sleep(0.002)
            return x

    p = ht.Pipeline([ht.Node(lambda x, pool: pool.get(x), "y")])
    got = p.map({"x": range(64), "pool": Pool(log)}, "x", engine=engine)
    assert [g["y"] for g in got] == list(range(64))
    assert max(Counter(log.lines()).values()) <= 2
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="max_concurrency is at least 1"):
            ht.cls(max_concurrency=wrong)
        with pytest.raises(ValueError, match="max_concurrency is at least 1"):
            ht.func(lambda x: x, max_concurrency=wrong)


def test_statement_24_objects_of_a_pool_work_side_by_side():
    @ht.cls(max_concurrency=2, use_process=True)
    class Pool:
        @method.batch(batch_size=1)
        def whole(self, xs):
            time.sleep(0.02)
            return [os.getpid()]

    made = frame(x=list(range(8))).select(Pool().whole(col("x"))).collect(engine=ht.ThreadEngine(2)).to_pydict()["x"]
    assert len(set(made)) == 2 and os.getpid() not in made


def test_statement_25_differs_use_process_is_what_it_says(engine):
    away = Away()
    got = column(away.objects(col("x")), x=[1, "a", None])  # whatever the types of columns
    assert [g[0] for g in got] == [{"x": (1,)}, {"x": ("a",)}, {"x": (None,)}]
    assert os.getpid() not in {g[1] for g in got}

    @ht.cls(max_concurrency=2, use_process=False)
    class Here:
        def where(self, x):
            return os.getpid()

    here = {g["y"] for g in ht.Pipeline([ht.Node(Here().where, "y")]).map({"x": range(20)}, "x", engine=engine)}
    assert (os.getpid() in here) == (type(engine) is not ht.ProcessEngine)
    assert column(Here().where(col("x"))) == [os.getpid()] * 3


def test_statement_26_differs_one_object_unless_more_are_asked_for():
    made = []

    @ht.cls(cpus=0.5)
    class Held:
        def __init__(self):
            made.append(1)

        def get(self, x):
            time.sleep(0.001)
            return x

    p = ht.Pipeline([ht.Node(lambda x, held: held.get(x), "y")])
    assert len(p.map({"x": range(64), "held": Held()}, "x", engine=ht.ThreadEngine(4))) == 64
    assert made == [1]


def test_statement_27_differs_exceptions_are_themselves_and_the_next_call_works():
    away = Away()
    with pytest.raises(KeyError) as raised:
        away.fail("x")
    assert raised.value.args == ("x",) and "in fail" in "\n".join(raised.value.__notes__)
    with pytest.raises(KeyError) as raised:
        column(away.fail(col("x")))
    assert raised.value.args == (1,)
    with pytest.raises(RuntimeError, match="ended with code 4"):
        away.die(1)
    assert away.objects(5)[0] == {"x": (5,)}
    ran = []

    def fail(x):
        ran.append(x)
        raise KeyError(x)

    with pytest.raises(KeyError):
        ht.Pipeline([ht.Node(fail, "y")]).map({"x": range(100)}, "x")
    assert ran == [0]  # the rows behind the first failure do not run


def test_statement_28_differs_gpus_are_counted(monkeypatch):
    monkeypatch.setenv("HT_GPUS", "2")

    def where(self, x):
        return ht.current_device()

    half, whole, five = (ht.cls(gpus=g)(type("G", (), {"where": where})) for g in (0.5, 1, 5))
    a, b, c = half(), whole(), half()
    assert (a.where(0), b.where(0), c.where(0)) == (0, 1, 0)
    with pytest.raises(OverflowError, match="wants 1 GPU, and too much of the 2 is held"):
        whole().where(0)
    with pytest.raises(NotImplementedError, match="wants 5 GPUs, and there are 2"):
        five().where(0)
    del b
    gc.collect()
    assert whole().where(0) == 1  # given back at the object's end
    for wrong in (-1, 1.5):
        with pytest.raises(ValueError, match="gpus is a share up to 1, or a whole number"):
            ht.cls(gpus=wrong)


@pytest.mark.parametrize("name", ["num_cpus", "num_gpus", "memory"])
def test_statement_29_ray_options(name):
    with pytest.raises(ValueError, match=f"ray_options has no '{name}'"):
        ht.cls(ray_options={name: 1})
    assert ht.cls(ray_options={"runtime_env": {}})(type("R", (), {"get": lambda self, x: x}))().get(1) == 1


def test_statement_29_copies_with_other_options():
    flight = Flight()
    flying_rows = flying(flight)
    two = flying_rows.row.with_concurrency(2)
    assert column(two(col("x")), x=list(range(20))) == list(range(20)) and flight.most == 2
    assert column(flying_rows.row(col("x")), x=list(range(20))) == list(range(20)) and flight.most == 20  # as it was

    encoder = Encoder(3)
    copy = encoder.row.with_concurrency(4)
    assert copy(2) == 6 and encoder.row(2) == 6 and CALLS.count("init") == 2  # each has its own object
    assert copy.__self__ is encoder.row.with_concurrency(4).__self__ is not encoder.row.with_concurrency(5).__self__
    assert type(copy.__self__).__ht_options__.max_concurrency == 4
    assert pickle.loads(dumps(copy))(2) == 6
    p = ht.Pipeline([ht.Node(encoder.row.with_concurrency(2), "y")])
    assert p.map({"x": [1, 2], "k": 1}, "x", engine=ht.ProcessEngine(2)) == [{"y": 3}, {"y": 6}]

    tuned = encoder.whole.with_ray_options(runtime_env={}).with_ray_options(resources={"a": 1})
    assert type(tuned.__self__).__ht_options__.ray_options == {"runtime_env": {}, "resources": {"a": 1}}
    assert type(encoder).__ht_options__.ray_options is None and column(tuned(col("x"))) == [3, 6, 9]
    for wrong in (lambda: encoder.row.with_concurrency(0), lambda: encoder.row.with_ray_options(memory=1)):
        with pytest.raises(ValueError, match="max_concurrency is at least 1|ray_options has no 'memory'"):
            wrong()
    with pytest.raises(TypeError):
        encoder.row.with_ray_options({"memory": 1})


def test_statement_29_copies_of_functions():
    flight = Flight()

    @ht.func(max_retries=1)
    async def later(x):
        with flight:
            await asyncio.sleep(0.005)
        return x

    two = later.with_concurrency(2)
    assert column(two(col("x")), x=list(range(12))) == list(range(12)) and flight.most == 2
    assert column(later(col("x")), x=list(range(12))) == list(range(12)) and flight.most == 12
    tuned = two.with_ray_options(runtime_env={})
    assert tuned._options == {"max_retries": 1, "max_concurrency": 2, "ray_options": {"runtime_env": {}}}
    with pytest.raises(ValueError, match="ray_options has no 'num_cpus'"):
        two.with_ray_options(num_cpus=1)


# ---- errors and retries ----


@ht.cls(on_error="null")
class Null:
    def row(self, x):
        if x == 2:
            raise ValueError("two")
        return x

    @method.batch(row="row")
    def whole(self, xs):
        CALLS.append(list(xs))
        if 2 in xs.to_pylist():
            raise ValueError("two")
        return list(xs)

    async def later(self, x):
        return self.row(x)


def test_statement_30_differs_null_is_for_the_bad_row_alone():
    null = Null()
    assert column(null.row(col("x"))) == column(null.later(col("x"))) == [1, None, 3]
    assert column(null.whole(col("x"))) == [None, None, None]  # of a frame's batch: all of it, as it says
    p = ht.Pipeline([ht.Node(lambda x, null: null.row(x), "y")])
    CALLS.clear()
    got = p.map({"x": [1, 2, 3, 4, 5], "null": null}, "x")
    assert [g["y"] for g in got] == [1, None, 3, 4, 5]  # rows that gathered: halved until the bad one stands alone
    assert CALLS[0] == [1, 2, 3, 4, 5] and len(CALLS) > 1


def test_statement_31_retries():
    @ht.cls(max_retries=2)
    class Flaky:
        def row(self, x):
            CALLS.append((x, time.perf_counter()))
            if x == 2:
                raise ValueError("two")
            return x

        @method.batch(retry_wait=0.001)
        def whole(self, xs):
            CALLS.append(list(xs))
            raise ValueError("always")

        @method(retry_wait=0.001)
        async def later(self, x):
            CALLS.append(x)
            if x == 2:
                raise ValueError("two")
            return x

    with pytest.raises(ValueError, match="two"):
        column(Flaky().row(col("x")))
    times = [t for x, t in CALLS if x == 2]
    assert len(times) == 3 and 0.1 <= times[1] - times[0] < 0.19 and 0.2 <= times[2] - times[1] < 0.29
    assert [x for x, _ in CALLS].count(1) == 1  # the others once
    CALLS.clear()
    with pytest.raises(ValueError, match="always"):
        column(Flaky().whole(col("x")))
    assert CALLS == [[1, 2, 3]] * 3
    CALLS.clear()
    with pytest.raises(ValueError, match="two"):
        column(Flaky().later(col("x")))
    assert Counter(CALLS) == {1: 1, 2: 3, 3: 1}  # not the whole column


@pytest.mark.parametrize("options", [{}, {"use_process": True}], ids=["here", "away"])
def test_statement_31_the_failure_says_how_long_to_wait(options, log):
    @ht.cls(max_retries=2, **options)
    class Busy:
        def row(self, x, log):
            log(time.monotonic())
            raise ht.RetryAfterError(0.03, LookupError("busy"))

        async def later(self, x, log):
            self.row(x, log)

        @method(max_retries=0)
        def once(self, x):
            raise ht.RetryAfterError(9)

    busy = Busy()
    ways = [
        lambda: busy.row(1, log),
        lambda: column(busy.row(col("x"), lit(log)), x=[1]),
        lambda: column(busy.later(col("x"), lit(log)), x=[1]),
        lambda: ht.Pipeline([ht.Node(lambda x: busy.row(x, log), "y")]).run({"x": 1}),
    ]
    for way in ways:
        log.clear()
        with pytest.raises(LookupError, match="busy"):  # what stands behind it, in the end
            way()
        times = [float(line) for line in log.lines()]
        assert len(times) == 3 and all(0.03 <= b - a < 0.09 for a, b in zip(times, times[1:], strict=False)), times
    with pytest.raises(ht.RetryAfterError) as raised:
        busy.once(1)
    assert raised.value.retry_after == 9


def test_statement_31_nodes_are_called_again_when_they_ask(engine, log):
    def busy(x):
        log(time.monotonic())
        if len(log) < 3:
            raise ht.RetryAfterError(0.02)
        return x

    async def busy_later(x):
        return busy(x)

    for function in (busy, busy_later):
        log.clear()
        p = ht.Pipeline([ht.Node(function, "y", max_retries=2, retry_wait=1)])
        assert p.map({"x": [5]}, "x", engine=engine) == [{"y": 5}]
        times = [float(line) for line in log.lines()]
        assert len(times) == 3 and all(0.02 <= b - a < 0.2 for a, b in zip(times, times[1:], strict=False)), times


def test_statement_32_options_of_a_method_come_first():
    @ht.cls(max_retries=0, on_error="raise")
    class Own:
        @method(max_retries=1, on_error="ignore", retry_wait=0.001)
        def row(self, x):
            CALLS.append(x)
            raise ValueError(x)

        def other(self, x):
            CALLS.append(x)
            raise ValueError(x)

    assert column(Own().row(col("x"))) == [None, None, None] and CALLS == [1, 1, 2, 2, 3, 3]
    CALLS.clear()
    with pytest.raises(ValueError):
        column(Own().other(col("x")), x=[7])
    assert CALLS == [7]
    for wrong in ("never", 3):
        with pytest.raises(ValueError, match="on_error is 'raise', 'null' or 'skip'"):
            ht.cls(on_error=wrong)


# ---- plans ----


def test_statement_33_rows_are_chosen_by_calls():
    encoder = Encoder(2)
    made = frame(x=[1, 2, 3, 4], y=["a", "b", "c", "d"]).where((encoder.row(col("x")) > 3) & (encoder(col("x")) < 6))
    assert made.to_pydict() == {"x": [2, 3], "y": ["b", "c"]}
    assert [c for c in CALLS if c[0] == "row"] == [("row", x, 1) for x in (1, 2, 3, 4)]


def test_statement_34_plans_and_messages_have_its_name(capsys):
    frame().select(Encoder().row(col("x"))).explain()
    assert "row" in capsys.readouterr().out
    fancy = ht.cls(name_override="Fancy", gpus=64)(type("Plain", (), {"get": lambda self, x: x}))
    with pytest.raises((NotImplementedError, ValueError, OverflowError), match="class 'Fancy'"):
        fancy().get(1)
    engine = ht.SequentialEngine(trace=True)
    named = ht.cls(name_override="Fancy")(type("Plain", (), {"get": lambda self, x: x}))
    ht.Pipeline([ht.Node(lambda x, named: named.get(x), "y")]).run({"x": 1, "named": named()}, engine=engine)
    assert "Fancy" in engine.waterfall() and Path(__file__).name not in engine.waterfall()
