"""Caches of results: on disk, shared by threads and processes, or in memory."""

from __future__ import annotations

import os
from typing import Any

from houndstooth import _core


class Cache:
    """What both caches share: `get`, `put` and `has` by any key, `stats`, `prune`, `clear`."""

    _core: Any

    def get(self, key: Any, default: Any = None) -> Any:
        """The value under a key, or `default`. None is a value."""
        return self._core.get(key, default)

    def put(self, key: Any, value: Any) -> None:
        """Keeps a value; it is there after a kill."""
        self._core.put(key, value)

    def has(self, key: Any) -> bool:
        """Whether there is a value under a key."""
        return self._core.has(key)

    def stats(self) -> dict[str, int]:
        """entries, bytes; hits, misses and puts of this object; evicted, damaged."""
        return self._core.stats()

    def prune(self) -> int:
        """Drops what is too old or too much; the bytes that were freed."""
        return self._core.prune()

    def clear(self) -> None:
        """Drops every entry."""
        self._core.clear()


class DiskCache(Cache):
    """Results in a directory: a SQLite database and files, safe with many threads and processes.

    Parameters
    ----------
    path : str or path
        Made if need be.
    max_bytes : int
        Beyond it the least recently used leave. Default 4 GiB.
    max_age : float
        Seconds after which an entry counts as absent. Default: no limit.

    Raises
    ------
    ValueError
        The directory cannot be made or opened.
    """

    def __init__(self, path: Any, max_bytes: int = 0, max_age: float = 0) -> None:
        self.path = os.fspath(path)
        self._limits = (max_bytes, max_age)
        self._core = _core.Cache(self.path, max_bytes, round(max_age))

    def __repr__(self) -> str:
        return f"DiskCache({self.path!r})"

    def __reduce__(self) -> Any:
        return DiskCache, (self.path, *self._limits)


class MemoryCache(Cache):
    """Results in memory, of this process.

    Parameters
    ----------
    max_bytes : int
        Beyond it the least recently used leave. Default 256 MiB.
    """

    def __init__(self, max_bytes: int = 0) -> None:
        self._core = _core.Cache(None, max_bytes, 0)

    def __repr__(self) -> str:
        return "MemoryCache()"
