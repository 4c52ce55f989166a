"""``integrations.daft`` and ``integrations.daft.engine``, where HyperNodes has its Daft engine."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Daft(ModuleType):
    """A module whose names are looked up when they are asked for, so that Daft is not imported before."""

    def __getattr__(self, name: str) -> Any:
        if name == "DaftEngine":
            from houndstooth.engines import DaftEngine

            return DaftEngine
        if name == "DAFT_AVAILABLE":
            from importlib.util import find_spec

            return find_spec("daft") is not None
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


def _add(name: str) -> ModuleType:
    made = _Daft(name, "DaftEngine, and whether Daft can be imported (DAFT_AVAILABLE).")
    made.__path__ = []
    sys.modules[name] = made
    return made


__path__: list[str] = []
daft = _add(__name__ + ".daft")
daft.engine = _add(__name__ + ".daft.engine")
