"""Methods called with column expressions."""

from __future__ import annotations

from typing import Any


def expression(instance: Any, name: str, args: tuple[Any, ...]) -> Any:
    """An expression over columns where one is among the arguments, else NotImplemented."""
    return NotImplemented
