"""Methods called with column expressions."""

from __future__ import annotations

from typing import Any


def expression(instance: Any, name: str, args: tuple[Any, ...]) -> Any:
    """An expression over columns where one is among the arguments, else NotImplemented."""
    from houndstooth._daft_udf import daft_expression, is_daft_expression

    if any(is_daft_expression(a) for a in args):
        return daft_expression(instance, name, args)
    return NotImplemented
