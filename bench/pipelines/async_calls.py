"""100 asynchronous calls of 10 ms each, over the items of a map; results in order.

pipefunc and Dask have no coroutines: 32 threads with a sleep that blocks. Hamilton has no asynchronous map: 100 nodes.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

from measure import Figure, best, command_line, names_module

CALLS, SECONDS = 100, 0.01
VALUES = list(range(CALLS))


async def work(x: int) -> int:
    await asyncio.sleep(SECONDS)
    return x + 1


def work_blocking(x: int) -> int:
    time.sleep(SECONDS)
    return x + 1


def figure(run: Callable[[], list[int]], quick: bool) -> Iterator[Figure]:
    got, want = list(run()), [x + 1 for x in VALUES]
    assert sorted(got) == want
    note = "" if got == want else "in another order"
    yield Figure("100 x 10 ms asynchronous", best(run, 5 if quick else 30) * 1e3, "ms", note)


def by_hand(quick: bool) -> Iterator[Figure]:
    async def gathered() -> list[int]:
        return list(await asyncio.gather(*[work(x) for x in VALUES]))

    return figure(lambda: asyncio.run(gathered()), quick)


def named(module: str, quick: bool) -> Iterator[Figure]:
    library, engine = names_module(module)
    pipeline = library.Pipeline(nodes=[library.node(output_name="y")(work)], engine=engine())
    return figure(lambda: [row["y"] for row in pipeline.map(inputs={"x": VALUES}, map_over="x")], quick)


def pipefunc(quick: bool) -> Iterator[Figure]:
    from concurrent.futures import ThreadPoolExecutor

    from pipefunc import PipeFunc, Pipeline

    pipeline = Pipeline([PipeFunc(work_blocking, output_name="y", mapspec="x[i] -> y[i]")])
    options: dict[str, Any] = {"parallel": True, "storage": "dict", "show_progress": False, "chunksizes": 1}
    with ThreadPoolExecutor(32) as threads:
        yield from figure(lambda: list(pipeline.map({"x": VALUES}, executor=threads, **options)["y"].output), quick)


def hamilton(quick: bool) -> Iterator[Figure]:
    from hamilton import ad_hoc_utils, async_driver

    def make(at: int) -> Any:
        async def one(x: int) -> int:
            return await work(x + at)

        one.__name__ = f"y{at}"
        one.__annotations__ = {"x": int, "return": int}
        return one

    names = [f"y{at}" for at in VALUES]
    module = ad_hoc_utils.create_temporary_module(*map(make, VALUES))

    async def run() -> list[int]:
        graph = await async_driver.Builder().with_modules(module).build()
        results = await graph.execute(names, inputs={"x": 0})
        return [results[name] for name in names]

    return figure(lambda: asyncio.run(run()), quick)


def dask(quick: bool) -> Iterator[Figure]:
    import dask

    def run() -> list[int]:
        calls = [dask.delayed(work_blocking)(x) for x in VALUES]
        return list(dask.compute(*calls, scheduler="threads", num_workers=32))

    return figure(run, quick)


def daft(quick: bool) -> Iterator[Figure]:
    import daft

    class Fetcher:
        async def fetch(self, x: int) -> int:
            return await work(x)

    Fetcher.fetch.__annotations__ = {"x": int, "return": int}
    column = daft.cls(Fetcher)().fetch(daft.col("x"))
    return figure(lambda: daft.from_pydict({"x": VALUES}).select(column).collect().to_pydict()["x"], quick)


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
    command_line("async", IMPLS)
