"""1,000 rows of 256 float32 (1 MB) to a process that is already there, each doubled, and back.

By hand: one block of shared memory and a pipe for the array; multiprocessing.Pool for the mapped arrays.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing import shared_memory
from typing import Any

from measure import Figure, best, command_line

ROWS, DIM = 1000, 256
ARRAY, COLUMN = "1 MB to a warm process and back, an array", "1 MB to a warm process and back, a column of a frame"
ARRAYS = "1 MB to a warm process and back, 1,000 arrays mapped"


def rows() -> Any:
    import numpy

    return numpy.random.default_rng(0).random((ROWS, DIM), dtype=numpy.float32)


def figure(name: str, run: Callable[[], Any], quick: bool, take: Callable[[Any], Any] = lambda r: r) -> Figure:
    """`take` makes an array of what `run` gives; it is not timed."""
    import numpy

    want = rows() * 2
    for _ in range(2):
        assert numpy.array_equal(numpy.asarray(take(run())).reshape(ROWS, DIM), want), name
    return Figure(name, best(run, 5 if quick else 30) * 1e3, "ms")


def double(array: Any) -> Any:
    return array * 2


def serve(name: str, pipe: Any) -> None:
    """The other process: doubles what is in the block whenever it is told to."""
    import numpy

    block = shared_memory.SharedMemory(name=name)
    there = numpy.ndarray((ROWS, DIM), numpy.float32, buffer=block.buf)
    while pipe.recv():
        numpy.multiply(there, 2, out=there)
        pipe.send(True)
    del there
    block.close()


def round_trips(block: Any, quick: bool) -> Figure:
    """With a process that works in the block."""
    import numpy

    array = rows()
    here = numpy.ndarray(array.shape, array.dtype, buffer=block.buf)
    spawn = multiprocessing.get_context("spawn")
    pipe, theirs = spawn.Pipe()
    child = spawn.Process(target=serve, args=(block.name, theirs))
    child.start()

    def run() -> Any:
        here[:] = array
        pipe.send(True)
        pipe.recv()
        return here.copy()

    made = figure(ARRAY, run, quick)
    pipe.send(False)
    child.join()
    return made


def by_hand(quick: bool) -> Iterator[Figure]:
    block = shared_memory.SharedMemory(create=True, size=ROWS * DIM * 4)
    yield round_trips(block, quick)
    block.close()
    block.unlink()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield figure(ARRAYS, lambda: pool.map(double, rows(), chunksize=ROWS), quick)


def houndstooth(quick: bool) -> Iterator[Figure]:
    import houndstooth as ht

    @ht.cls(use_process=True)
    class Doubler:
        def double(self, array):
            return array * 2

        @ht.method.batch(return_dtype=ht.DataType.fixed_size_list(ht.DataType.float32(), DIM))
        def double_rows(self, column):
            return column.to_numpy() * 2

    array, doubler = rows(), Doubler()
    yield figure(ARRAY, lambda: doubler.double(array), quick)
    frame = ht.from_pydict({"x": ht.Series.from_numpy(array)})
    expr = doubler.double_rows(ht.col("x"))
    yield figure(COLUMN, lambda: frame.select(expr.alias("y")).collect().to_series("y"), quick)
    engine = ht.ProcessEngine(1)
    pipeline = ht.Pipeline([ht.node(output_name="y")(double)], engine=engine)
    inputs = {"array": list(array)}
    yield figure(ARRAYS, lambda: pipeline.map(inputs, "array"), quick, lambda got: [row["y"] for row in got])


def dask(quick: bool) -> Iterator[Figure]:
    from dask.distributed import Client, LocalCluster

    array = rows()
    with LocalCluster(1, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        yield figure(ARRAY, lambda: client.submit(double, array, pure=False).result(), quick)


def daft(quick: bool) -> Iterator[Figure]:
    import daft
    import pyarrow

    dtype = daft.DataType.fixed_size_list(daft.DataType.float32(), DIM)

    class Doubler:
        @daft.method.batch(return_dtype=dtype)
        def double(self, column):
            flat = column.to_arrow().flatten().to_numpy(zero_copy_only=False)
            return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(flat * 2), DIM)

    doubler = daft.cls(Doubler, use_process=True)()
    column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(rows().ravel()), DIM)
    frame = daft.from_arrow(pyarrow.table({"x": column}))

    def take(table: Any) -> Any:
        return table.column(0).combine_chunks().flatten().to_numpy(zero_copy_only=False)

    yield figure(COLUMN, lambda: frame.select(doubler.double(daft.col("x"))).collect().to_arrow(), quick, take)


IMPLS = {"houndstooth": houndstooth, "by hand": by_hand, "dask": dask, "daft": daft}

if __name__ == "__main__":
    command_line("process", IMPLS)
