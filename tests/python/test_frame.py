"""Frames: expressions, methods and functions over columns, in order and as they are."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
import time
from typing import Any

import houndstooth as ht
import pytest
from houndstooth import DataType, Series, col, func, lit, method

SEED = 20260102


@pytest.fixture
def frame() -> Any:
    return ht.from_pydict({"x": [1, 2, 3, 4], "y": [10, 20, 30, 40]})


def values(expr: Any, of: Any) -> list[Any]:
    """The column that an expression gives."""
    (column,) = of.select(expr).to_pydict().values()
    return column


class Log(list):
    """What was called, told by class instances that share this process."""


LOG = Log()


@ht.cls
class Model:
    def mixed(self, x: int) -> Any:
        return x if x % 2 else x + 0.5

    @method(return_dtype=DataType.float64())
    def real(self, x: int) -> Any:
        return x

    @method(on_error="null")
    def careful(self, x: int) -> int:
        if x == 3:
            raise ValueError("three")
        return x

    def encode(self, x: int, k: int = 1) -> Any:
        LOG.append("row")
        return (x, k)

    @method.batch
    def encode_batch(self, xs: Series, k: int = 1) -> Any:
        LOG.append((type(xs).__name__, len(xs), k))
        return [(x, k) for x in xs]

    @method.batch(return_dtype=DataType.float64(), batch_size=3)
    def add(self, a: Series, b: Any, k: int = 1) -> Any:
        LOG.append((type(a).__name__, type(b).__name__, len(a), k))
        other = b if isinstance(b, Series) else [b] * len(a)
        return [x + y * k for x, y in zip(a, other, strict=True)]

    @method.batch(batch_size=2, on_error="null")
    def careful_pieces(self, a: Series) -> Any:
        if 3 in a.to_pylist():
            raise ValueError("three")
        return a

    @method.batch(batch_size=2, max_retries=2, retry_wait=0.001)
    def flaky(self, a: Series) -> Any:
        LOG.append(a.to_pylist())
        if LOG.count([3, 4]) == 1 and a[0] == 3:
            raise ValueError("the first time")
        return a

    @method.batch(broadcast=True)
    def one(self, a: Series) -> Any:
        return ["same"]

    @method.batch
    def short(self, a: Series) -> Any:
        return ["same"]

    @method.batch
    def nothing(self, a: Series) -> Any:
        return None

    @method.batch
    def lists(self, a: list) -> Any:
        LOG.append(type(a).__name__)
        return a

    @method.batch
    def back(self, a: Series, how: Any) -> Any:
        return how(a)

    @method.batch(batch_size=2)
    def kinds(self, a: Series) -> Any:
        return [v if a[0] == 1 else v + 0.5 for v in a]

    async def wait(self, x: int) -> int:
        await asyncio.sleep(0.02)
        return x

    @method.batch(batch_size=10)
    async def wait_batch(self, a: Series) -> Any:
        await asyncio.sleep(0.05 if a[0] == 0 else 0.04)
        return a


@pytest.fixture
def model() -> Any:
    LOG.clear()
    return Model()


# ---- calls ----


def test_rows_keep_their_types(frame, model) -> None:
    column = values(model.mixed(col("x")), frame)
    assert (column, [type(v) for v in column]) == ([1, 2.5, 3, 4.5], [int, float, int, float])
    assert values(func(lambda x: f"t{x}")(col("x")), frame) == ["t1", "t2", "t3", "t4"]
    assert frame.select(func(lambda x: f"t{x}")(col("x"))).schema() == {"x": DataType.string()}
    done = frame.select(model.real(col("x")))
    assert (done.to_pydict(), done.schema()) == ({"x": [1.0, 2.0, 3.0, 4.0]}, {"x": DataType.float64()})


def test_a_row_method_is_called_by_row_and_a_batch_method_by_batch(frame, model) -> None:
    assert values(model.encode(col("x"), k=2), frame) == [(x, 2) for x in (1, 2, 3, 4)]
    assert LOG == ["row"] * 4
    LOG.clear()
    assert values(model.encode_batch(col("x"), 2), frame) == [(x, 2) for x in (1, 2, 3, 4)]
    assert LOG == [("Series", 4, 2)]


def test_every_column_argument_is_cut_alike_and_literals_stay_values(frame, model) -> None:
    assert values(model.add(col("x"), col("y"), k=2), frame) == [21.0, 42.0, 63.0, 84.0]
    assert LOG == [("Series", "Series", 3, 2), ("Series", "Series", 1, 2)]
    LOG.clear()
    assert values(model.add(col("x"), lit(5)), frame) == values(model.add(col("x"), 5), frame) == [6.0, 7.0, 8.0, 9.0]
    assert {entry[1] for entry in LOG} == {"int"}
    assert values(model.add(col("x"), col("x")), frame) == [2.0, 4.0, 6.0, 8.0]
    assert values(model.add(model.real(col("x")), model.add(col("y"), col("x"))), frame) == [12.0, 24.0, 36.0, 48.0]
    with pytest.raises(ValueError, match="needs a column"):
        frame.select(model.encode_batch(lit(1)))


def test_names_of_columns(frame, model) -> None:
    chosen = frame.select(model.real(col("y")), col("x").alias("z"), w=model.add(col("x"), 1))
    assert chosen.column_names == ["y", "z", "w"]
    assert frame.with_columns({"x": col("y"), "n": col("x")}).to_pydict() == {
        "x": [10, 20, 30, 40],
        "y": [10, 20, 30, 40],
        "n": [1, 2, 3, 4],
    }
    assert model.encode(1, col("y")).name() == "y"
    with pytest.raises(ValueError, match="stands twice"):
        frame.select(col("x"), col("y").alias("x"))


def test_failures_become_null_by_row_or_by_piece(frame, model) -> None:
    assert values(model.careful(col("x")), frame) == [1, 2, None, 4]
    assert values(model.careful_pieces(col("x")), frame) == [1, 2, None, None]
    assert values(model.flaky(col("x")), frame) == [1, 2, 3, 4]
    assert LOG == [[1, 2], [3, 4], [3, 4]]


def test_an_exception_is_the_one_that_was_raised(frame) -> None:
    error = KeyError("k")

    @func
    def boom(x: int) -> None:
        raise error

    with pytest.raises(KeyError) as caught:
        frame.select(boom(col("x"))).collect()
    assert caught.value is error


def test_lengths_of_batches(frame, model) -> None:
    assert values(model.one(col("x")), frame) == ["same"] * 4
    with pytest.raises(RuntimeError, match="a batch of 4 rows gave 1 results"):
        frame.select(model.short(col("x"))).collect()
    with pytest.raises(TypeError, match="gives a list, an array or a Series"):
        frame.select(model.nothing(col("x"))).collect()


def test_a_parameter_annotated_list_gets_lists(frame, model) -> None:
    assert (values(model.lists(col("x")), frame), LOG) == ([1, 2, 3, 4], ["list"])


def test_pieces_of_different_types_keep_their_rows(frame, model) -> None:
    column = values(model.kinds(col("x")), frame)
    assert (column, [type(v) for v in column]) == ([1, 2, 3.5, 4.5], [int, int, float, float])


def test_what_a_batch_may_give(frame, model, peer) -> None:
    np, pa = peer("numpy"), peer("pyarrow")
    for how, dtype in (
        (lambda a: a.to_numpy() * 2, DataType.int64()),
        (lambda a: np.ones((len(a), 3), np.float32), DataType.fixed_size_list(DataType.float32(), 3)),
        (lambda a: pa.array([str(v) for v in a]), DataType.string()),
        (lambda a: pa.chunked_array([[1], [2, 3], [4]]), DataType.int64()),
        (lambda a: tuple(a), DataType.int64()),
        (lambda a: [{"v": v} for v in a], DataType.python()),
    ):
        done = frame.select(model.back(col("x"), how)).collect()
        assert (len(done), done.schema()["x"]) == (4, dtype)


def test_buffers_go_through_a_batch_method_without_a_copy(peer, model) -> None:
    np = peer("numpy")
    numbers = np.arange(1000.0)
    seen = []
    frame = ht.from_pydict({"x": numbers}).select(model.back(col("x"), lambda a: seen.append(a.to_numpy()) or a))
    done = frame.collect().to_series("x").to_numpy()
    assert seen[0].ctypes.data == done.ctypes.data == numbers.ctypes.data


def test_unset_batch_size_is_one_call(model) -> None:
    for rows in (list(range(200_000)), [(i,) for i in range(3000)]):
        LOG.clear()
        assert len(values(model.encode_batch(col("x")), ht.from_pydict({"x": rows}))) == len(rows)
        assert [(kind, n) for kind, n, _ in LOG] == [("Series", len(rows))]


def test_coroutines_overlap_in_order(model) -> None:
    rows = list(range(100))
    frame = ht.from_pydict({"x": rows})
    start = time.perf_counter()
    assert values(model.wait(col("x")), frame) == rows
    assert time.perf_counter() - start < 0.5, "one by one takes 2 s"
    start = time.perf_counter()
    assert values(model.wait_batch(col("x")), frame) == rows
    assert time.perf_counter() - start < 0.25, "one batch behind the other takes 0.41 s"


def test_functions(frame) -> None:
    @func
    def add(a: int, b: int = 2) -> int:
        return a + b

    @func.batch(return_dtype=DataType.string(), batch_size=3)
    def text(a: Series, sign: str = "-") -> Any:
        return [f"{sign}{v}" for v in a]

    @func
    async def later(a: int) -> int:
        await asyncio.sleep(0.001)
        return a

    assert (add(3), values(add(col("x")), frame), values(add(col("x"), col("y")), frame)) == (
        5,
        [3, 4, 5, 6],
        [11, 22, 33, 44],
    )
    assert frame.select(add(3, b=col("y"))).to_pydict() == {"y": [13, 23, 33, 43]}
    assert values(text(col("x"), sign="+"), frame) == ["+1", "+2", "+3", "+4"]
    assert values(later(col("x")), frame) == [1, 2, 3, 4]


def test_the_same_on_every_engine_of_this_machine(frame, model) -> None:
    rows = list(range(1000))
    big = ht.from_pydict({"x": rows}).with_column("y", model.add(col("x"), 1)).with_column("z", model.mixed(col("x")))
    want = big.to_pydict()
    again = ht.from_pydict({"x": rows}).with_column("y", model.add(col("x"), 1)).with_column("z", model.mixed(col("x")))
    assert again.collect(engine=ht.ThreadEngine(workers=2)).to_pydict() == want


def test_processes(peer) -> None:
    @ht.cls(use_process=True)
    class Away:
        @method.batch(batch_size=10)
        def twice(self, a: Series) -> Any:
            import os

            return [(os.getpid(), 2 * v) for v in a]

        @method.batch(return_dtype=DataType.fixed_size_list(DataType.float32(), 4))
        def doubled(self, a: Series) -> Any:
            return a.to_numpy() * 2

    import os

    column = values(Away().twice(col("x")), ht.from_pydict({"x": list(range(25))}))
    assert [v for _, v in column] == [2 * i for i in range(25)]
    assert {pid for pid, _ in column}.isdisjoint({os.getpid()})
    table = peer("numpy").arange(40, dtype="float32").reshape(10, 4)
    frame = ht.from_pydict({"x": Series.from_numpy(table)}).select(Away().doubled(col("x")).alias("y"))
    assert frame.to_series("y").to_numpy().tolist() == (table * 2).tolist()


# ---- operators and rows ----


def test_operators_are_pythons_with_none() -> None:
    rng = random.Random(SEED)
    a = [rng.choice([None, rng.randrange(-5, 6), rng.random()]) for _ in range(60)]
    b = [rng.choice([None, rng.randrange(1, 6)]) for _ in range(60)]
    frame = ht.from_pydict({"a": a, "b": b})
    x, y = col("a"), col("b")
    cases = {
        "<": (x < y, lambda p, q: p < q),
        ">=": (x >= y, lambda p, q: p >= q),
        "==": (x == y, lambda p, q: p == q),
        "!=": (x != 2, lambda p, q: p != 2),
        "+": (x + y, lambda p, q: p + q),
        "-": (1 - x, lambda p, q: 1 - p),
        "*": (x * y, lambda p, q: p * q),
        "/": (x / y, lambda p, q: p / q),
        "//": (x // y, lambda p, q: p // q),
        "%": (x % y, lambda p, q: p % q),
        "**": (y**2, lambda p, q: q**2),
        "-x": (-x, lambda p, q: -p),
        "and": ((x < 2) & (y > 1), lambda p, q: p < 2 and q > 1),
        "or": ((x < 2) | (y > 1), lambda p, q: p < 2 or q > 1),
        "not": (~(x < 2), lambda p, q: not p < 2),
    }
    for name, (expr, row) in cases.items():
        uses_a, uses_b = "col(a)" in repr(expr), "col(b)" in repr(expr)
        want = [
            None if (uses_a and p is None) or (uses_b and q is None) else row(p, q) for p, q in zip(a, b, strict=True)
        ]
        assert values(expr, frame) == want, name
    assert values(x.is_null(), frame) == [p is None for p in a]
    assert values(x.not_null(), frame) == [p is not None for p in a]
    assert frame.where(x > 0).to_pydict()["a"] == [p for p in a if p is not None and p > 0]
    assert values(y.cast(DataType.float64()).alias("f"), frame) == [None if q is None else float(q) for q in b]
    with pytest.raises(TypeError, match="no truth value"):
        bool(x > 1)


def test_where_explode_and_limit(frame) -> None:
    assert frame.where(col("x") > 2).filter(col("y") < 40).to_pydict() == {"x": [3], "y": [30]}
    with pytest.raises(ValueError, match="limit is not negative: -1"):
        frame.limit(-1)
    assert frame.limit(2).to_pylist() == [{"x": 1, "y": 10}, {"x": 2, "y": 20}]
    lists = ht.from_pydict({"l": [[1, 2.5], [], None, (3,)], "k": ["a", "b", "c", "d"]}).explode("l")
    assert lists.to_pydict() == {"l": [1, 2.5, None, None, 3], "k": ["a", "a", "b", "c", "d"]}
    assert [type(v) for v in lists.to_pydict()["l"]] == [int, float, type(None), type(None), int]
    with pytest.raises((TypeError, ValueError)):
        ht.from_pydict({"l": ["text"]}).explode(col("l")).collect()


def test_no_rows(frame, model) -> None:
    empty = frame.where(lit(False))
    assert empty.to_pydict() == {"x": [], "y": []}
    assert empty.select(model.add(col("x"), col("y"))).to_pydict() == {"x": []}
    assert ht.from_pydict({"x": []}).select(model.mixed(col("x"))).to_pydict() == {"x": []}


# ---- in and out ----


def test_objects_stay_the_same_objects() -> None:
    rows = [object(), {"a": 1}, (1, 2), [1.0], 2**80, None]
    frame = ht.from_pydict({"o": rows})
    assert all(a is b for a, b in zip(rows, frame.to_pydict()["o"], strict=True))
    assert all(a is b for a, b in zip(rows, values(func(lambda o: o)(col("o")), frame), strict=True))
    assert all(a is b for a, b in zip(rows, values(func.batch(lambda s: s)(col("o")), frame), strict=True))


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="a: 1, b: 2"):
        ht.from_pydict({"a": [1], "b": [1, 2]})


def test_rows_in_and_out(frame) -> None:
    rows = [{"a": 1, "b": "x"}, {"b": None}, {"a": 3, "c": (1,)}]
    made = ht.from_pylist(rows)
    assert made.to_pylist() == [{"a": r.get("a"), "b": r.get("b"), "c": r.get("c")} for r in rows]
    assert list(frame.iter_rows()) == frame.to_pylist()
    assert frame.count_rows() == len(frame.collect()) == 4


@pytest.mark.parametrize("wrong", [3, "text", [1, 2], None])
def test_what_is_no_table_is_refused(wrong) -> None:
    with pytest.raises(TypeError, match=f"__arrow_c_stream__, is wanted, not a {type(wrong)}"):
        ht.from_arrow(wrong)


def test_arrow_and_daft(frame, model, peer) -> None:
    daft, pa = peer("daft"), peer("pyarrow")
    table = pa.table({"a": pa.chunked_array([[1, 2], [3]]), "t": ["x", None, "z"]})
    ours = ht.from_arrow(table)
    assert ours.to_pydict() == table.to_pydict()
    assert pa.table(ours).to_pydict() == ours.to_arrow().to_pydict() == table.to_pydict()
    assert values(col("a"), ht.from_arrow(pa.table({"a": table["a"].chunk(0)}))) == [1, 2]
    theirs = daft.from_pydict({"x": [1, 2, 3], "t": ["a", "b", None]})
    assert ht.from_arrow(theirs).to_pydict() == theirs.to_pydict()
    assert daft.from_arrow(frame.with_column("z", model.real(col("x")))).to_pydict()["z"] == [1.0, 2.0, 3.0, 4.0]


def test_nothing_runs_before_it_is_asked_for(frame, model) -> None:
    lazy = frame.with_column("e", model.encode(col("x"))).with_column("unused", model.encode_batch(col("x")))
    repr(lazy)
    assert lazy.select("x").to_pydict() == {"x": [1, 2, 3, 4]}
    assert LOG == []
    lazy.collect()
    lazy.collect()
    assert LOG.count("row") == 4


def test_for_people(frame, model, capsys) -> None:
    lazy = frame.with_column("e", model.encode(col("x")))
    lazy.show(2)
    assert len(LOG) == 2, "just enough rows"
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("x", "int64", "(1, 1)"))
    lazy.explain()
    assert "encode" in capsys.readouterr().out
    assert "not collected" in repr(lazy)
    assert "int64" in repr(frame)
    assert "<pre>" in frame._repr_html_()
    assert repr(model.encode(col("x") + 1, 2).alias("z")) == "Expression(encode((col(x) + lit(1)), lit(2)) as z)"
    with pytest.raises(ValueError, match="no column 'q'; there is x, y"):
        frame.select("q")


def test_frames_from_several_threads(frame, model) -> None:
    made: list[Any] = [None] * 4

    def work(i: int) -> None:
        made[i] = values(model.add(col("x"), i), frame)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [[x + float(i) for x in (1, 2, 3, 4)] for i in range(4)]


def test_nothing_is_kept(model) -> None:
    thing = (1, 2)
    gc.collect()
    before = sys.getrefcount(thing)
    for _ in range(1000):
        frame = ht.from_pydict({"o": [thing, thing], "n": [1, 2]})
        frame.select(model.back(col("o"), list), col("n") + 1, lit(thing).alias("l")).where(col("n") > 2).collect()
        with pytest.raises(ValueError, match="no column"):
            frame.select(model.back(col("p"), thing))
    del frame
    gc.collect()
    assert sys.getrefcount(thing) == before
