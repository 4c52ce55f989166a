"""Series and DataType beside pyarrow, numpy and Daft: what a column holds, and what it shares with them."""

from __future__ import annotations

import gc
import math
import os
import pickle
import random
import sys
import tracemalloc
from typing import Any

import pytest
from houndstooth import DataType, Series

SEED = int(os.environ.get("HT_SEED", "20260101"))
ROUNDS = int(os.environ.get("HT_ITERS", "200"))


# ---- what stays what it is ----


@pytest.mark.parametrize(
    ("rows", "dtype"),
    [
        ([1, -(2**63), 2**63 - 1, None], DataType.int64()),
        ([1.5, math.inf, None], DataType.float64()),
        (["a", "ü", "", None], DataType.string()),
        ([True, None, False], DataType.bool()),
        ([b"x", None], DataType.binary()),
        ([None, None], DataType.null()),
        ([], DataType.null()),
        ([1, 2.5], DataType.python()),
        ([True, 1], DataType.python()),
        ([1, "a"], DataType.python()),
        ([2**63], DataType.python()),
        ([(1, 2), (3,)], DataType.python()),
        ([{"a": 1}, {"b": 2}], DataType.python()),
        ([[1.0], [2.0, 3.0]], DataType.python()),
        (["\ud800"], DataType.python()),
    ],
    ids=ascii,
)
def test_rows_come_back_as_they_were(rows: list[Any], dtype: Any) -> None:
    series = Series.from_pylist(rows)
    back = series.to_pylist()
    assert series.dtype == dtype
    assert back == rows
    assert [type(row) for row in back] == [type(row) for row in rows]
    assert [series[i] for i in range(len(rows))] == rows
    assert list(series) == rows


def test_objects_are_the_same_objects() -> None:
    rows = [object(), {"a": []}, (1, [2]), None, "text"]
    for series in (Series.from_pylist(rows), Series.from_pylist(["text", "x"], pyobj="force")):
        assert series.dtype == DataType.python()
    assert all(a is b for a, b in zip(rows, Series.from_pylist(rows).to_pylist(), strict=True))
    assert all(a is b for a, b in zip(rows[::-1], Series.from_pylist(rows)[::-1].to_pylist(), strict=True))


def test_python_dtype_takes_everything() -> None:
    rows = [[1.0, 2.0], {"a": 1}, (1,), 2**80, 1, 1.0, None, "x"]
    series = Series.from_pylist(rows, dtype=DataType.python())
    assert (series.to_pylist(), series.dtype) == (rows, DataType.python())


# ---- random columns, against pyarrow ----


def _random_type(rng: random.Random, depth: int = 0) -> tuple[Any, Any, Any]:
    """(our type, pyarrow's, a maker of rows)."""
    import pyarrow as pa

    kind = rng.randrange(6 if depth >= 2 else 9)
    bits = rng.choice([8, 16, 32, 64])
    if kind == 0:
        least = -(2 ** (bits - 1))
        return getattr(DataType, f"int{bits}")(), getattr(pa, f"int{bits}")(), lambda: rng.randrange(least, -least)
    if kind == 1:
        return getattr(DataType, f"uint{bits}")(), getattr(pa, f"uint{bits}")(), lambda: rng.randrange(2**bits)
    if kind == 2:
        return DataType.float64(), pa.float64(), lambda: rng.choice([rng.gauss(0, 1e9), 0.0, -0.0, math.inf])
    if kind == 3:
        return DataType.bool(), pa.bool_(), lambda: rng.random() < 0.5
    if kind == 4:
        return DataType.string(), pa.string(), lambda: "".join(rng.choices("aé漢🐕\0 ", k=rng.randrange(6)))
    if kind == 5:
        return DataType.binary(), pa.binary(), lambda: rng.randbytes(rng.randrange(5))
    ours, theirs, make = _random_type(rng, depth + 1)
    item = _nullable(rng, make)
    if kind == 6:
        return DataType.list(ours), pa.list_(theirs), lambda: [item() for _ in range(rng.randrange(4))]
    if kind == 7:
        n = rng.randrange(1, 4)
        return DataType.fixed_size_list(ours, n), pa.list_(theirs, n), lambda: [item() for _ in range(n)]
    other, their_other, make_other = _random_type(rng, depth + 1)
    return (
        DataType.struct({"a": ours, "ü": other}),
        pa.struct([("a", theirs), ("ü", their_other)]),
        lambda: {"a": item(), "ü": make_other()},
    )


def _nullable(rng: random.Random, make: Any) -> Any:
    share = rng.choice([0.0, 0.3])
    return lambda: None if rng.random() < share else make()


def _check_picks(series: Any, imported: Any, rows: list[Any], rng: random.Random) -> None:
    first = rng.randrange(len(rows))
    picks = [rng.randrange(len(rows)) for _ in range(5)]
    sliced = Series.from_arrow(imported[first:])
    assert sliced.to_pylist() == rows[first:]
    assert sliced.to_arrow().to_pylist() == rows[first:]
    assert series.take(picks).to_pylist() == [rows[i] for i in picks]
    assert Series.concat([series[first:], series[:first]]).to_pylist() == rows[first:] + rows[:first]


def test_random_columns_agree_with_pyarrow(peer) -> None:
    pa = peer("pyarrow")
    rng = random.Random(SEED)
    for round_ in range(ROUNDS):
        ours, theirs, make = _random_type(rng)
        row = _nullable(rng, make)
        rows = [row() for _ in range(rng.choice([0, 1, 7, 8, 9, 65]))]
        where = f"seed {SEED}, round {round_}, {theirs}"
        series = Series.from_pylist(rows, dtype=ours)
        array = series.to_arrow()
        array.validate(full=True)
        assert (array.type, array.to_pylist(), series.to_pylist()) == (theirs, rows, rows), where
        imported = pa.array(rows, type=theirs)
        back = Series.from_arrow(imported)
        assert (back.dtype, back.to_pylist()) == (ours, rows), where
        assert pickle.loads(pickle.dumps(series)).to_pylist() == rows, where
        if rows:
            _check_picks(series, imported, rows, rng)


def test_chunks_and_types_without_a_match(peer) -> None:
    pa = peer("pyarrow")
    assert Series.from_arrow(pa.chunked_array([[1, 2], [], [3, None]])) == [1, 2, 3, None]
    assert Series.from_arrow(pa.chunked_array([], type=pa.string())).dtype == DataType.string()
    stamps = pa.array([1, None], type=pa.timestamp("s"))
    assert Series.from_arrow(stamps).to_pylist() == stamps.to_pylist()
    words = pa.array(["a", "b", "a"]).dictionary_encode()
    assert Series.from_arrow(words) == ["a", "b", "a"]


def test_a_failing_stream_tells_why(peer) -> None:
    pa = peer("pyarrow")

    class Broken:
        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            def batches() -> Any:
                raise ValueError("the source is gone")
                yield

            return pa.RecordBatchReader.from_batches(pa.schema([("a", pa.int64())]), batches()).__arrow_c_stream__()

    with pytest.raises(Exception, match="the source is gone"):
        Series.from_arrow(Broken())


# ---- no copies ----


def test_memory_is_shared_with_pyarrow_and_numpy(peer) -> None:
    pa, np = peer("pyarrow"), peer("numpy")
    array = pa.array(range(1000), type=pa.int64())
    series = Series.from_arrow(array)
    assert series.to_arrow().buffers()[1].address == array.buffers()[1].address
    assert series[10:].to_numpy().ctypes.data == array.buffers()[1].address + 80
    text = pa.array(["a", "bc"] * 100)
    assert Series.from_arrow(text).to_arrow().buffers()[2].address == text.buffers()[2].address
    for shape in ((12,), (3, 4)):
        numbers = np.arange(12, dtype=np.float32).reshape(shape)
        series = Series.from_numpy(numbers)
        assert series.to_numpy().ctypes.data == numbers.ctypes.data
        assert series[1:].to_numpy().tolist() == numbers[1:].tolist()
        assert np.asarray(series).shape == shape
        assert not series.to_numpy().flags.writeable
    assert memoryview(Series.from_numpy(np.arange(3))).tolist() == [0, 1, 2]


def test_rows_of_arrays_travel_as_numbers(peer) -> None:
    pa, np = peer("pyarrow"), peer("numpy")
    table = np.arange(24, dtype=np.float32).reshape(8, 3)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(table.ravel()), 3)
    uncounted = pa.Array.from_buffers(pa.float32(), 24, [None, pa.py_buffer(table)], null_count=-1)
    for series in (
        Series.from_numpy(table),
        Series.from_arrow(lists[1:])[1:],
        Series.from_arrow(pa.FixedSizeListArray.from_arrays(uncounted, 3)),
    ):
        for window in (series, series[2:5], series[3:3]):
            again = pickle.loads(pickle.dumps(window))
            assert again.dtype == window.dtype
            assert again.to_numpy().dtype == np.float32
            assert again.to_numpy().tolist() == window.to_numpy().tolist() == window.to_pylist()
    holes = pa.array([[1, 2], None, [3, None]], pa.list_(pa.int64(), 2))
    assert pickle.loads(pickle.dumps(Series.from_arrow(holes)[1:])).to_pylist() == [None, [3, None]]


def test_memory_lives_as_long_as_it_is_used(peer) -> None:
    np = peer("numpy")
    numbers = np.arange(1000)
    view = Series.from_numpy(numbers.copy())[5:].to_numpy()
    gc.collect()
    assert view.tolist() == numbers[5:].tolist()
    before = sys.getrefcount(numbers)
    series = Series.from_numpy(numbers)
    assert sys.getrefcount(numbers) > before
    del series
    assert sys.getrefcount(numbers) == before


@pytest.mark.parametrize("name", "int8 uint8 int16 uint16 int32 uint32 int64 uint64 float16 float32 float64".split())
def test_every_number_type_of_numpy(name: str, peer) -> None:
    np = peer("numpy")
    numbers = np.array([0, 1, 2, 100], dtype=name)
    series = Series.from_numpy(numbers)
    assert series.dtype == getattr(DataType, name)()
    assert series.to_pylist() == numbers.tolist()
    assert series.to_numpy().dtype == numbers.dtype


def test_halves_are_read_exactly(peer) -> None:
    np = peer("numpy")
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    read = Series.from_numpy(halves).to_pylist()
    assert all(a == b or (a != a and b != b) for a, b in zip(read, halves.tolist(), strict=True))


def test_numpy_of_nulls_bools_text_and_objects(peer) -> None:
    np = peer("numpy")
    assert np.isnan(Series.from_pylist([1, None]).to_numpy()).tolist() == [False, True]
    assert Series.from_pylist([True, False]).to_numpy().dtype == np.bool_
    assert Series.from_pylist(["a", None]).to_numpy().tolist() == ["a", None]
    assert Series.from_pylist([[1], [1, 2], (3,)]).to_numpy().tolist() == [[1], [1, 2], (3,)]
    strided = np.arange(10)[::2]
    assert Series.from_numpy(strided) == strided.tolist()
    assert Series.from_numpy(np.array(["a", "b"])) == ["a", "b"]
    assert Series.from_numpy(np.array([True, False])) == [True, False]


def test_daft_reads_ours_and_we_read_daft(peer) -> None:
    daft, pa = peer("daft"), peer("pyarrow")
    rows = ["a", None, "ü"]
    assert Series.from_arrow(daft.Series.from_pylist(rows)) == rows
    assert daft.Series.from_arrow(pa.array(Series.from_pylist(rows))).to_pylist() == rows


# ---- types and casts ----


def test_types_print_as_dafts(peer) -> None:
    theirs = peer("daft").DataType
    makers = [
        lambda d: d.python(),
        lambda d: d.null(),
        lambda d: d.bool(),
        lambda d: d.uint16(),
        lambda d: d.string(),
        lambda d: d.binary(),
        lambda d: d.list(d.float64()),
        lambda d: d.fixed_size_list(d.float32(), 4),
        lambda d: d.struct({"a": d.int64(), "b": d.list(d.string())}),
    ]
    for make in makers:
        ours = make(DataType)
        assert repr(ours) == repr(make(theirs))
        assert (ours == make(DataType), hash(ours) == hash(make(DataType))) == (True, True)
        assert pickle.loads(pickle.dumps(ours)) == ours
    assert DataType.list(DataType.int8()) != DataType.list(DataType.int16())
    assert DataType.fixed_size_list(DataType.int8(), 2) != DataType.fixed_size_list(DataType.int8(), 3)


def test_casts_lose_nothing() -> None:
    assert Series.from_pylist([1, None]).cast(DataType.float64()).to_pylist() == [1.0, None]
    assert Series.from_pylist([1.0, 2.0]).cast(DataType.int8()).to_pylist() == [1, 2]
    assert Series.from_pylist([1, 2.5]).cast(DataType.string()).to_pylist() == ["1", "2.5"]
    assert Series.from_pylist([[1, 2], (3, 4)]).cast(DataType.list(DataType.int64())) == [[1, 2], [3, 4]]
    assert Series.from_pylist([1]).cast(DataType.python()).dtype == DataType.python()


@pytest.mark.parametrize(
    ("rows", "dtype", "error", "said"),
    [
        ([1.0, 1.5], DataType.int64(), ValueError, "row 1: 1.5 as Int64 would lose its fraction"),
        ([1, 300], DataType.int8(), OverflowError, "row 1: 300 is out of the range of Int8"),
        ([-1], DataType.uint64(), OverflowError, "row 0"),
        ([1e300], DataType.float32(), OverflowError, "row 0"),
        ([None, "a"], DataType.float64(), TypeError, "row 1: 'a' does not fit a column of type Float64"),
        ([[1]], DataType.fixed_size_list(DataType.int64(), 2), ValueError, "row 0: a list of 1 items"),
        ([{"a": 1, "b": 2}], DataType.struct({"a": DataType.int64()}), ValueError, "row 0"),
        ([b"x"], DataType.string(), TypeError, "row 0"),
        ([math.nan], DataType.int64(), ValueError, "row 0"),
        ([1], DataType.null(), TypeError, "row 0"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_told(rows: list[Any], dtype: Any, error: type, said: str) -> None:
    with pytest.raises(error, match=said.replace(".", r"\.")):
        Series.from_pylist(rows, dtype=dtype)


def test_arrays_in_lists_keep_their_numbers(peer) -> None:
    np = peer("numpy")
    rows = [np.array([1.5, 2.5], np.float32), None, np.array([], np.float32), np.array([3.5], np.float64)]
    series = Series.from_pylist(rows, dtype=DataType.list(DataType.float32()))
    assert series.to_pylist() == [[1.5, 2.5], None, [], [3.5]]


def test_wrong_arguments() -> None:
    for call in (
        lambda: Series.from_pylist("text"),
        lambda: Series.from_pylist([1], dtype=int),
        lambda: Series.from_pylist([1, "a"], pyobj="disallow"),
        lambda: Series.from_arrow([1]),
        lambda: Series.concat([[1]]),
        lambda: DataType.list(int),
        lambda: DataType.struct({}),
        lambda: hash(Series.from_pylist([1])),
        lambda: Series(),
    ):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(ValueError, match="pyobj is 'allow', 'disallow' or 'force', not 'x'"):
        Series.from_pylist([1], pyobj="x")
    with pytest.raises(ValueError, match="not 0"):
        DataType.fixed_size_list(DataType.int8(), 0)
    for at in (3, -4):
        with pytest.raises(IndexError):
            Series.from_pylist([1, 2, 3])[at]
        with pytest.raises(IndexError):
            Series.from_pylist([1, 2, 3]).take([at])
    with pytest.raises(ValueError, match="a mask of 1 rows for a series of 3"):
        Series.from_pylist([1, 2, 3]).filter([True])


# ---- as a sequence ----


def test_a_series_is_a_sequence() -> None:
    series = Series.from_pylist(list(range(10)), name="n")
    assert (len(series), series[-1], series.name(), series.rename("m").name()) == (10, 9, "n", "m")
    assert (series[2:4] == [2, 3], series[::-3] == [9, 6, 3, 0], series[5:2] == []) == (True, True, True)
    assert series == tuple(range(10))
    assert series != [0]
    assert series == Series.from_pylist(list(range(10)))
    assert list(zip(series, "ab", strict=False)) == [(0, "a"), (1, "b")]
    assert series.slice(3, 5) == [3, 4]
    assert series.filter([i % 5 == 0 or None for i in range(10)]) == [0, 5]
    assert Series.from_pylist([1, None]).is_null() == [False, True]
    assert "Int64, 10 rows" in repr(series)


# ---- nothing leaks ----


def test_objects_are_given_back() -> None:
    thing = {"a": [1]}
    before = sys.getrefcount(thing)
    for _ in range(1000):
        series = Series.from_pylist([thing, thing, 1.5])
        assert series.to_pylist()[0] is series[0]
        series.take([0, 0])
        assert len(Series.concat([series, series])[1:]) == 5
        del series
    assert sys.getrefcount(thing) == before


def test_a_thousand_rounds_take_no_memory(peer) -> None:
    pa, np = peer("pyarrow"), peer("numpy")
    numbers, array = np.arange(1000), pa.array(["text"] * 100)

    def rounds(n: int) -> None:
        for _ in range(n):
            Series.from_numpy(numbers)[3:].to_numpy()
            Series.from_arrow(array).to_arrow()
            Series.from_pylist([[1.0], None], dtype=DataType.list(DataType.float64())).to_pylist()
            pickle.loads(pickle.dumps(Series.from_pylist([1, "a"])))
            with pytest.raises(TypeError):
                Series.from_pylist([1, "a"], dtype=DataType.int64())

    def grown(n: int) -> int:
        start = tracemalloc.get_traced_memory()[0]
        rounds(n)
        gc.collect()
        sys._clear_type_cache()  # it keeps the names of attributes that were asked for
        return tracemalloc.get_traced_memory()[0] - start

    rounds(20)
    tracemalloc.start()
    grown(100)  # what is made once, caches of the interpreter's among it
    least = min(grown(400) for _ in range(3))  # a leak of one object a round shows in each
    tracemalloc.stop()
    assert least < 4000, f"{least} bytes more after 400 rounds"
