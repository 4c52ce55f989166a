"""Worker processes on this machine."""

from __future__ import annotations

from typing import Any

from houndstooth.engines import Engine


class ProcessEngine(Engine):
    """Slices of maps in worker processes, which are kept between runs; arrays go through shared memory.

    A worker that crashes is told with the items that it had, started again, and its slice is tried once more.

    Parameters
    ----------
    workers : int
        Processes; default one per CPU.
    """

    _kind = 2

    def __init__(self, workers: int = 0, cache: Any = None, callbacks: Any = None, **options: Any) -> None:
        prepare()
        super().__init__(cache, callbacks, workers=workers, **options)


_prepared = False


def prepare() -> None:
    """Tells the library how a worker is started."""
    global _prepared
    if not _prepared:
        from houndstooth import _core
        from houndstooth._worker import command

        _core.set_worker(command())
        _prepared = True
