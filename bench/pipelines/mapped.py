"""What an item of a map costs: one trivial function over 2,000 integers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from measure import Figure, best, chain_module, command_line, names_module

ITEMS = 2000
VALUES = list(range(ITEMS))


def figure(run: Callable[[], list[int]], quick: bool) -> Iterator[Figure]:
    assert list(run()) == [value + 1 for value in VALUES]
    yield Figure("an item of a map of 2,000", best(run, 5 if quick else 30) / ITEMS * 1e6, "us")


def function() -> Callable[[int], int]:
    return chain_module(1).v1


def by_hand(quick: bool) -> Iterator[Figure]:
    add_one = function()
    return figure(lambda: [add_one(value) for value in VALUES], quick)


def named(module: str, quick: bool) -> Iterator[Figure]:
    library, engine = names_module(module)
    pipeline = library.Pipeline(nodes=[library.node(output_name="v1")(function())], engine=engine())
    return figure(lambda: [row["v1"] for row in pipeline.map(inputs={"v0": VALUES}, map_over="v0")], quick)


def pipefunc(quick: bool) -> Iterator[Figure]:
    from pipefunc import PipeFunc, Pipeline

    pipeline = Pipeline([PipeFunc(function(), output_name="v1", mapspec="v0[i] -> v1[i]")])
    options: dict[str, Any] = {"parallel": False, "storage": "dict", "show_progress": False}
    return figure(lambda: list(pipeline.map({"v0": VALUES}, **options)["v1"].output), quick)


def hamilton(quick: bool) -> Iterator[Figure]:
    """Its only map is a parallel block, here with the executors that stay in this thread."""
    from hamilton import ad_hoc_utils, driver
    from hamilton.execution.executors import SynchronousLocalTaskExecutor
    from hamilton.htypes import Collect, Parallelizable

    def v0(n: int) -> Parallelizable[int]:
        yield from range(n)

    def together(v1: Collect[int]) -> list:
        return list(v1)

    # Its type hints are looked up among the globals of the function.
    v0.__annotations__ = {"n": int, "return": Parallelizable[int]}
    together.__annotations__ = {"v1": Collect[int], "return": list}
    module = ad_hoc_utils.create_temporary_module(v0, function(), together)
    builder = driver.Builder().with_modules(module).enable_dynamic_execution(allow_experimental_mode=True)
    builder = builder.with_local_executor(SynchronousLocalTaskExecutor())
    graph = builder.with_remote_executor(SynchronousLocalTaskExecutor()).build()
    return figure(lambda: graph.execute(["together"], inputs={"n": ITEMS})["together"], quick)


def dask(quick: bool) -> Iterator[Figure]:
    import dask.bag

    add_one = function()
    return figure(lambda: dask.bag.from_sequence(VALUES).map(add_one).compute(scheduler="synchronous"), quick)


def daft(quick: bool) -> Iterator[Figure]:
    import daft

    column = daft.func(function())(daft.col("v0")).alias("v1")
    return figure(lambda: daft.from_pydict({"v0": VALUES}).select(column).collect().to_pydict()["v1"], quick)


IMPLS = {
    "houndstooth": functools.partial(named, "houndstooth"),
    "by hand": by_hand,
    "hypernodes": functools.partial(named, "hypernodes"),
    "pipefunc": pipefunc,
    "hamilton": hamilton,
    "dask": dask,
    "daft": daft,
}

if __name__ == "__main__":
    command_line("map", IMPLS)
