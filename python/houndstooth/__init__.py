"""Houndstooth: pipelines of nodes, and retrieval on ordinary CPUs."""

from __future__ import annotations

import sys

if "t" in getattr(sys, "abiflags", ""):
    raise ImportError(
        "houndstooth needs a CPython with the global interpreter lock; this one is a free-threaded build: "
        "use the usual build of the same version"
    )

from houndstooth._core import version as _version

__version__ = _version()
__all__ = ["__version__"]
