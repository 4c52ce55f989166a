"""The engines that tests run on, by name; made once in a session."""

from __future__ import annotations

from typing import Any

NAMES = ["sequential", "threads", "processes", "dask", "daft"]
_made: dict[str, Any] = {}


def engine_of(name: str, **options: Any) -> Any:
    """An engine; with options a new one."""
    import houndstooth as ht

    kinds = {
        "sequential": lambda **o: ht.SequentialEngine(**o),
        "threads": lambda **o: ht.ThreadEngine(2, **o),
        "processes": lambda **o: ht.ProcessEngine(2, **o),
        "dask": lambda **o: ht.DaskEngine(num_workers=2, **o),
        "daft": lambda **o: ht.DaftEngine(num_workers=2, **o),
    }
    if options:
        return kinds[name](**options)
    if name not in _made:
        _made[name] = kinds[name]()
    return _made[name]


class CallLog:
    """What was called, across processes: a line a call."""

    def __init__(self, path: Any) -> None:
        self.path = str(path)

    def __call__(self, *words: Any) -> None:
        with open(self.path, "a") as f:
            f.write(" ".join(map(str, words)) + "\n")

    def lines(self) -> list[str]:
        try:
            with open(self.path) as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def __len__(self) -> int:
        return len(self.lines())

    def clear(self) -> None:
        open(self.path, "w").close()
