"""Statements on class UDFs whose calls make several rows or columns: generators and unnest.

Their numbers go on with those of test_class_statements.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import houndstooth as ht
import pytest
from houndstooth import DataType, col, lit, method

CALLS: list = []


@pytest.fixture(autouse=True)
def calls():
    CALLS.clear()
    return CALLS


def frame(**columns):
    return ht.from_pydict(columns or {"x": [1, 2, 3]})


def column(expr, **columns):
    """The one column that the expression gives."""
    (made,) = frame(**columns).select(expr).to_pydict().values()
    return made


# ---- generators ----


@ht.cls
class Rows:
    def __init__(self):
        CALLS.append("init")

    def count(self, x: int) -> Iterator[int]:
        CALLS.append(x)
        for i in range(x):
            yield 10 * x + i

    @method(return_dtype=DataType.float64())
    def real(self, x):
        yield x
        yield x + 0.5

    @method(on_error="null")
    def odd(self, x):
        yield x
        if x == 2:
            raise ValueError("two")

    @method(return_dtype=DataType.python())
    def mixed(self, x):
        yield from (x, str(x), {"x": (x,)})

    async def later(self, x):
        yield x


def test_statement_13_generators_give_rows():
    rows, data = Rows(), {"x": [2, 0, 1], "y": ["a", "b", "c"]}
    made = frame(**data).select("y", rows.count(col("x")))
    assert CALLS == []
    assert made.to_pydict() == {"y": ["a", "a", "b", "c"], "x": [20, 21, None, 10]}
    assert CALLS == ["init", 2, 0, 1]  # once for a row
    assert made.schema()["x"] == DataType.int64()
    got = frame(**data).with_column("z", rows.count(x=col("x")).cast(DataType.float64())).to_pydict()
    assert got == {"x": [2, 2, 0, 1], "y": ["a", "a", "b", "c"], "z": [20.0, 21.0, None, 10.0]}
    got = frame(**data).with_columns({"n": col("x") + 1, "x": rows.count(col("x"))}).where(col("x") > 10)
    assert got.to_pydict() == {"x": [20, 21], "y": ["a", "a"], "n": [3, 3]}  # under a name that it replaces
    twice = frame(**data).with_column("a", rows.count(col("x"))).with_column("b", rows.count(lit(2)))
    assert twice.limit(3).to_pydict()["b"] == [20, 21, 20]
    assert list(rows.count(3)) == [30, 31, 32]  # called at once: the generator itself


def test_statement_13_what_generators_give():
    rows = Rows()
    assert column(rows.real(col("x")), x=[1, 2]) == [1.0, 1.5, 2.0, 2.5]
    assert column(rows.mixed(col("x")), x=[1]) == [1, "1", {"x": (1,)}]
    assert column(rows.odd(col("x"))) == [1, None, 3]  # of a call that fails there is nothing
    assert column(rows.count(col("x")), x=[0]) == [None] and column(rows.count(col("x")), x=[]) == []
    with pytest.raises(TypeError, match="range|integer"):
        column(rows.count(col("x")), x=["no number"])
    CALLS.clear()
    away = ht.cls(use_process=True)(Rows.__wrapped__)()
    assert column(away.count(col("x")), x=[2, 0, 1]) == [20, 21, None, 10] and CALLS == []
    function = ht.func(lambda x: (yield from range(x)))
    assert column(function(col("x")), x=[2, 1]) == [0, 1, 0]


def test_statement_13_where_generators_cannot_stand():
    rows = Rows()
    made = frame().select("x", rows.count(col("x")).alias("z"))
    for wrong in (
        lambda: made.select(rows.count(col("x")) + 1),
        lambda: made.select(rows.real(rows.count(col("x")))),
        lambda: made.where(rows.count(col("x")) > 1),
    ):
        with pytest.raises(ValueError, match="a generator's rows are a column of their own"):
            wrong()
    with pytest.raises(ValueError, match="'a' and 'b' are both of generators"):
        made.select(rows.count(col("x")).alias("a"), rows.real(col("x")).alias("b"))
    with pytest.raises(TypeError, match="later: an asynchronous generator makes no column"):
        rows.later(col("x"))

    async def later(x):
        yield x

    with pytest.raises(TypeError, match="later: an asynchronous generator makes no column"):
        ht.func(later)
    assert made.to_pydict()["z"] == [10, 20, 21, 30, 31, 32]  # nothing is broken by that


def test_statement_13_in_frames_of_daft(peer):
    daft = peer("daft")
    got = daft.from_pydict({"x": [2, 0, 1], "y": ["a", "b", "c"]}).select("y", Rows().count(daft.col("x")))
    assert got.to_pydict() == {"y": ["a", "a", "b", "c"], "x": [20, 21, None, 10]}


# ---- unnest ----


POINT = DataType.struct({"a": DataType.int64(), "b": DataType.string()})


@ht.cls
class Points:
    @method(return_dtype=POINT, unnest=True)
    def row(self, x):
        CALLS.append(x)
        return {"a": x, "b": str(x)} if x else None

    @method.batch(return_dtype=POINT, unnest=True)
    def whole(self, xs):
        return [{"a": x, "b": "w"} for x in xs]

    @method(return_dtype=POINT, unnest=True)
    def rows(self, x):
        for i in range(x):
            yield {"a": i, "b": str(x)}

    @method(return_dtype=POINT)
    def nested(self, x):
        return {"a": x, "b": str(x)}


def test_statement_14_unnest_makes_columns_of_fields():
    points, data = Points(), {"x": [2, 0, 1], "y": ["p", "q", "r"]}
    made = frame(**data).select("y", points.row(col("x")))
    assert CALLS == [] and made.column_names == ["y", "a", "b"]
    assert made.to_pydict() == {"y": ["p", "q", "r"], "a": [2, None, 1], "b": ["2", None, "1"]}
    assert CALLS == [2, 0, 1]  # once for a row, however many fields
    assert made.schema() == {"y": DataType.string(), "a": DataType.int64(), "b": DataType.string()}
    assert frame(**data).select(points.whole(col("x"))).to_pydict() == {"a": [2, 0, 1], "b": ["w"] * 3}
    got = frame(**data).select("y", points.rows(col("x"))).to_pydict()
    assert got == {"y": ["p", "p", "q", "r"], "a": [0, 1, None, 0], "b": ["2", "2", None, "1"]}
    assert column(points.nested(col("x")), x=[1]) == [{"a": 1, "b": "1"}]
    function = ht.func(lambda x: {"a": x, "b": "f"}, return_dtype=POINT, unnest=True)
    assert frame(x=[7]).select("x", function(col("x"))).to_pydict() == {"x": [7], "a": [7], "b": ["f"]}
    assert points.row(5) == {"a": 5, "b": "5"}  # called at once: as it is


def test_statement_14_differs_with_columns_has_every_field():
    data = {"a": [5, 6], "y": ["p", "q"]}
    for got in (
        frame(**data).with_column("z", Points().row(col("a"))),
        frame(**data).with_columns({"z": Points().row(col("a"))}),
    ):
        assert got.to_pydict() == {"a": [5, 6], "y": ["p", "q"], "b": ["5", "6"]}
    with pytest.raises(ValueError, match="so are fields with unnest"):
        frame().select(Points().row(col("x")).cast(DataType.python()))
    with pytest.raises(ValueError, match="so are fields with unnest"):
        frame().where(Points().row(col("x")).is_null())


@pytest.mark.parametrize("dtype", [None, DataType.int64(), DataType.list(POINT)])
def test_statement_14_unnest_needs_a_struct(dtype):
    for decorate in (method, method.batch, ht.func, ht.func.batch):
        with pytest.raises(ValueError, match="unnest needs a return_dtype that is a struct"):
            decorate(lambda x: x, return_dtype=dtype, unnest=True)


def test_statement_14_in_frames_of_daft(peer):
    daft = peer("daft")
    df = daft.from_pydict({"x": [2, 0]})
    assert df.select(Points().row(daft.col("x"))).to_pydict() == {"a": [2, None], "b": ["2", None]}
    assert df.select(Points().whole(daft.col("x"))).to_pydict() == {"a": [2, 0], "b": ["w", "w"]}
    get = method(lambda self, x: [x], return_dtype=DataType.list(DataType.float32()))
    made = df.select(ht.cls(type("Listed", (), {"get": get}))().get(daft.col("x")))
    assert made.schema()["x"].dtype == daft.DataType.list(daft.DataType.float32())
    assert made.to_pydict() == {"x": [[2], [0]]}


# ---- functions in processes ----


def test_functions_in_processes():
    import os

    @ht.func(use_process=True)
    def where(x):
        return os.getpid()

    @ht.func.batch(use_process=True, return_dtype=DataType.int64())
    def plus_one(xs):
        return [x + 1 for x in xs.to_pylist()]

    @ht.func(use_process=True)
    def again(x):
        yield x
        yield x

    pids = column(where(col("x")))
    assert len(set(pids)) == 1 and os.getpid() not in pids
    assert column(plus_one(col("x"))) == [2, 3, 4]
    assert column(again(col("x"))) == [1, 1, 2, 2, 3, 3]
    assert where(0) == os.getpid()  # called as it is, it is the function
