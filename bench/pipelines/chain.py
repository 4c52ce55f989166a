"""What a node costs: a chain of trivial functions, each adding one, run as one graph; and what building it costs."""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from measure import Figure, best, chain_module, command_line, functions_of, names_module

RUN, BUILT = 100, 1000
SECONDS = 10  # of building again and again, at most
DEEP = 100_000  # pipefunc and Hamilton walk a chain by recursion, beyond what Python allows by itself
Build = Callable[[Any, list[Any]], Callable[[], int]]  # of a module and its functions: builds, gives what runs it


def figures(build: Build, quick: bool) -> Iterator[Figure]:
    """Running a short chain that is built, and building a long one, alone and with its first run."""
    short, long = chain_module(RUN), chain_module(BUILT)
    run = build(short, functions_of(short))
    assert run() == RUN
    yield Figure("a node of a chain of 100, run", best(run, 50 if quick else 300) / RUN * 1e6, "us")
    functions = functions_of(long)
    built, done = [], []
    for _ in range(3 if quick else 7):
        start = time.perf_counter()
        run = build(long, functions)
        between = time.perf_counter()
        assert run() == BUILT
        done.append(time.perf_counter() - start)
        built.append(between - start)
        if sum(done) > SECONDS:
            break
    yield Figure("a chain of 1,000 nodes built", min(built) * 1e3, "ms")
    yield Figure("a chain of 1,000 nodes built and run once", min(done) * 1e3, "ms")


def by_hand(quick: bool) -> Iterator[Figure]:
    functions = functions_of(chain_module(RUN))

    def run() -> int:
        value = 0
        for function in functions:
            value = function(value)
        return value

    yield Figure("a node of a chain of 100, run", best(run, 50 if quick else 300) / RUN * 1e6, "us")


def named(module: str, quick: bool) -> Iterator[Figure]:
    """Ours and HyperNodes, whose names are the same."""
    library, engine = names_module(module)

    def build(_: Any, functions: list[Any]) -> Callable[[], int]:
        nodes = [library.node(output_name=function.__name__)(function) for function in functions]
        pipeline = library.Pipeline(nodes=nodes, engine=engine())
        return lambda: pipeline.run(inputs={"v0": 0})[functions[-1].__name__]

    return figures(build, quick)


def pipefunc(quick: bool) -> Iterator[Figure]:
    sys.setrecursionlimit(DEEP)
    from pipefunc import PipeFunc, Pipeline

    def build(_: Any, functions: list[Any]) -> Callable[[], int]:
        pipeline = Pipeline([PipeFunc(function, output_name=function.__name__) for function in functions])
        return lambda: pipeline.run(functions[-1].__name__, kwargs={"v0": 0})

    return figures(build, quick)


def hamilton(quick: bool) -> Iterator[Figure]:
    sys.setrecursionlimit(DEEP)
    from hamilton import driver

    def build(module: Any, functions: list[Any]) -> Callable[[], int]:
        graph = driver.Builder().with_modules(module).build()
        last = functions[-1].__name__
        return lambda: graph.execute([last], inputs={"v0": 0})[last]

    return figures(build, quick)


def dask(quick: bool) -> Iterator[Figure]:
    import dask

    def build(_: Any, functions: list[Any]) -> Callable[[], int]:
        value = 0
        for function in functions:
            value = dask.delayed(function)(value)
        return lambda: value.compute(scheduler="synchronous")

    return figures(build, quick)


def daft(quick: bool) -> Iterator[Figure]:
    import daft

    def build(_: Any, functions: list[Any]) -> Callable[[], int]:
        frame = daft.from_pydict({"v0": [0]})
        for at, function in enumerate(functions):
            frame = frame.with_column(f"v{at + 1}", daft.func(function)(daft.col(f"v{at}")))
        return lambda: frame.select(f"v{len(functions)}").collect().to_pydict()[f"v{len(functions)}"][0]

    module = chain_module(RUN)
    frame = build(module, functions_of(module))
    assert frame() == RUN
    yield Figure("a node of a chain of 100, run", best(frame, 10) / RUN * 1e6, "us")


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
    command_line("chain", IMPLS)
