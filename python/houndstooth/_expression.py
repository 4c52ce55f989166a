"""Methods called with column expressions, ours or Daft's."""

from __future__ import annotations

import sys
from typing import Any


def has_expression(args: tuple[Any, ...]) -> bool:
    """Whether a column expression is among the arguments."""
    frames = sys.modules.get("houndstooth._frame")
    if frames is not None and any(isinstance(a, frames.Expression) for a in args):
        return True
    return "daft" in sys.modules and any(_is_dafts(a) for a in args)


def _is_dafts(value: Any) -> bool:
    kind = type(value)
    return kind.__name__ == "Expression" and kind.__module__.partition(".")[0] == "daft"


def expression(instance: Any, name: str, args: tuple[Any, ...]) -> Any:
    """An expression over columns where one is among the arguments, else NotImplemented."""
    if not has_expression(args):
        return NotImplemented
    if any(_is_dafts(a) for a in args):
        from houndstooth._daft_udf import daft_expression

        return daft_expression(instance, name, args)
    from houndstooth._frame import call_expression

    return call_expression(instance, type(instance).__ht_plans__[name], args)
