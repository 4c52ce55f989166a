"""Parameters of functions, read from their code objects: importing inspect costs more than most pipelines."""

from __future__ import annotations

from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, NamedTuple

from houndstooth import _core

MISSING = object()
_VARARGS, _VARKEYWORDS = 0x04, 0x08


class Signature(NamedTuple):
    """Parameters that can be named, in their order; `n_positional` of them may go by position."""

    params: tuple[str, ...]
    n_positional: int
    defaults: dict[str, Any]
    variadic: tuple[str, ...]  # "*args", "**kwargs"


def signature_of(function: Any, skip: int = 0) -> Signature:
    """The signature of a callable, without its first `skip` parameters (self).

    Raises
    ------
    TypeError
        It is not callable, or tells no signature.
    """
    if isinstance(function, MethodType):
        return signature_of(function.__func__, skip + 1)
    if isinstance(function, _core.BoundMethod):
        return signature_of(function.__func__.__wrapped__, skip + 1)
    if not isinstance(function, FunctionType) or hasattr(function, "__wrapped__"):
        return _inspected(function, skip)
    code = function.__code__
    n_all, n_kw = code.co_argcount, code.co_kwonlyargcount
    names = code.co_varnames
    positional, keyword = names[skip:n_all], names[n_all : n_all + n_kw]
    values = function.__defaults__ or ()
    defaults = dict(zip(names[n_all - len(values) : n_all], values, strict=True))
    defaults.update(function.__kwdefaults__ or {})
    variadic = []
    at = n_all + n_kw
    if code.co_flags & _VARARGS:
        variadic.append("*" + names[at])
        at += 1
    if code.co_flags & _VARKEYWORDS:
        variadic.append("**" + names[at])
    return Signature(positional + keyword, len(positional), defaults, tuple(variadic))


def _inspected(function: Any, skip: int) -> Signature:
    import inspect

    if not callable(function):
        raise TypeError(f"a function is wanted, not a {type(function).__name__}")
    try:
        params = list(inspect.signature(function).parameters.values())[skip:]
    except ValueError:
        what = "built-in function" if isinstance(function, BuiltinFunctionType) else type(function).__name__
        raise TypeError(f"{function!r}: this {what} tells no signature; wrap it in a function of your own") from None
    names, keyword, defaults, variadic = [], [], {}, []
    for p in params:
        if p.kind is p.VAR_POSITIONAL or p.kind is p.VAR_KEYWORD:
            variadic.append(("*" if p.kind is p.VAR_POSITIONAL else "**") + p.name)
            continue
        (keyword if p.kind is p.KEYWORD_ONLY else names).append(p.name)
        if p.default is not p.empty:
            defaults[p.name] = p.default
    return Signature(tuple(names + keyword), len(names), defaults, tuple(variadic))


def _flags_of(function: Any) -> int:
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(vars(type(function)).get("__call__"), "__code__", None)
    return code.co_flags if code else 0


def is_async(function: Any) -> bool:
    """Whether calling it gives a coroutine."""
    return bool(_flags_of(function) & 0x80)


def is_generator(function: Any) -> bool:
    """Whether calling it gives a generator."""
    return bool(_flags_of(function) & 0x20)


def is_async_generator(function: Any) -> bool:
    """Whether calling it gives an asynchronous generator."""
    return bool(_flags_of(function) & 0x200)
