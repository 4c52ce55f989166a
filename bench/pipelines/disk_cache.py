"""A cache on disk that is filled and read: what a value costs, at sizes that show how it grows.

By hand: SQLite with a write-ahead log and pickled values.
"""

from __future__ import annotations

import functools
import pickle
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

from measure import Figure, command_line, names_module

SIZES = (500, 2000, 10_000)
SLOW_SIZES = (500, 2000)  # of a cache that writes its whole list at each put
Put, Get = Callable[[str, Any], Any], Callable[[str], Any]


def value(i: int) -> dict[str, Any]:
    return {"id": i, "vector": [float(i)] * 16}


def filled(name: str, opened: Callable[[str], tuple[Put, Get]], size: int, times: int) -> Iterator[Figure]:
    """Times `size` puts into a fresh cache and as many gets."""
    keys, values = [f"{i:064x}" for i in range(size)], [value(i) for i in range(size)]
    puts, gets = [], []
    for _ in range(times):
        folder = tempfile.mkdtemp(prefix="bench-cache")
        put, get = opened(folder)
        start = time.perf_counter()
        for key, what in zip(keys, values, strict=True):
            put(key, what)
        between = time.perf_counter()
        got = [get(key) for key in keys]
        gets.append(time.perf_counter() - between)
        puts.append(between - start)
        assert got == values
        shutil.rmtree(folder)
    yield Figure(f"{name} put, {size:,} of them", min(puts) / size * 1e6, "us")
    yield Figure(f"{name} got, {size:,} of them", min(gets) / size * 1e6, "us")


def figures(opened: Callable[[str], tuple[Put, Get]], sizes: tuple[int, ...], quick: bool) -> Iterator[Figure]:
    for size in sizes[:-1] if quick else sizes:
        yield from filled("a cached value", opened, size, 1 if quick or sizes is SLOW_SIZES else 3)


def mapped(module: str, sizes: tuple[int, ...], quick: bool) -> Iterator[Figure]:
    """What a user of the cache sees: a map that fills it, and the same map again."""
    library, engine = names_module(module)
    for size in sizes[:-1] if quick else sizes:
        folder = tempfile.mkdtemp(prefix="bench-cache")
        node = library.node(output_name="value", cache=True)(value)
        pipeline = library.Pipeline(nodes=[node], engine=engine(cache=library.DiskCache(folder)))
        items, seconds = list(range(size)), []
        for _ in range(2):
            start = time.perf_counter()
            rows = pipeline.map(inputs={"i": items}, map_over="i")
            seconds.append(time.perf_counter() - start)
            assert [row["value"]["id"] for row in rows] == items
        shutil.rmtree(folder)
        yield Figure(f"an item of a map, computed and kept, {size:,} of them", seconds[0] / size * 1e6, "us")
        yield Figure(f"an item of a map, from the cache, {size:,} of them", seconds[1] / size * 1e6, "us")


def named(module: str, sizes: tuple[int, ...], quick: bool) -> Iterator[Figure]:
    library, _ = names_module(module)

    def opened(folder: str) -> tuple[Put, Get]:
        cache = library.DiskCache(folder)
        return cache.put, cache.get

    yield from figures(opened, sizes, quick)
    yield from mapped(module, sizes, quick)


def pipefunc(quick: bool) -> Iterator[Figure]:
    """Its values stay in memory too unless told otherwise."""
    from pipefunc.cache import DiskCache

    def opened(folder: str) -> tuple[Put, Get]:
        cache = DiskCache(folder, with_lru_cache=False)
        return cache.put, cache.get

    return figures(opened, SIZES, quick)


def by_hand(quick: bool) -> Iterator[Figure]:
    def opened(folder: str) -> tuple[Put, Get]:
        db = sqlite3.connect(f"{folder}/cache.db", isolation_level=None)
        for statement in ("pragma journal_mode=wal", "pragma synchronous=normal"):
            db.execute(statement)
        db.execute("create table kept (key text primary key, value blob)")

        def put(key: str, what: Any) -> None:
            db.execute("insert or replace into kept values (?, ?)", (key, pickle.dumps(what)))

        def get(key: str) -> Any:
            return pickle.loads(db.execute("select value from kept where key = ?", (key,)).fetchone()[0])

        return put, get

    return figures(opened, SIZES, quick)


IMPLS = {
    "houndstooth": functools.partial(named, "houndstooth", SIZES),
    "by hand": by_hand,
    "hypernodes": functools.partial(named, "hypernodes", SLOW_SIZES),
    "pipefunc": pipefunc,
}

if __name__ == "__main__":
    command_line("cache", IMPLS)
