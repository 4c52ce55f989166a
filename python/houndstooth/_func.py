"""Functions over columns: `func` row by row, `func.batch` over whole Series."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from houndstooth._cls import ClassOptions, MethodOptions, _Plan, proxy_of, with_options
from houndstooth._signature import is_async_generator


class _Holder:
    """What an instance of a function's class loads: nothing."""


class Func:
    """A function that is called as it is, or with column expressions for an expression."""

    def __init__(self, function: Callable, batch: bool, options: dict[str, Any]) -> None:
        self._batch, self._options = batch, dict(options)
        own = {k: options.pop(k) for k in ("return_dtype", "unnest", "batch_size") if k in options}
        noted = MethodOptions(batch, **own)
        if is_async_generator(function):
            raise TypeError(
                f"{function.__name__}: an asynchronous generator makes no column; give its values in a list"
            )
        chosen = ClassOptions(**options)
        name = getattr(function, "__name__", "func")
        name = name if name.isidentifier() else "func"
        plan = _Plan(name, function, chosen, is_static=True)
        plan.noted = noted
        space = {"__module__": getattr(function, "__module__", __name__), "_ht_func": (function, batch, self._options)}
        target = type(name, (_Holder,), space)
        self._function, self._name = function, name
        self._instance = proxy_of(target, chosen, {name: plan})()
        update_wrapper(self, function, updated=())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from houndstooth._expression import has_expression

        if has_expression(args) or has_expression(tuple(kwargs.values())):
            return getattr(self._instance, self._name)(*args, **kwargs)
        return self._function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Func({self._name})"

    def __reduce__(self) -> Any:
        return Func, (self._function, self._batch, self._options)

    def with_concurrency(self, max_concurrency: int) -> Func:
        """The same function with this ``max_concurrency``."""
        return Func(self._function, self._batch, with_options(self._options, {"max_concurrency": max_concurrency}))

    def with_ray_options(self, **ray_options: Any) -> Func:
        """The same function with these besides its ``ray_options``."""
        return Func(self._function, self._batch, with_options(self._options, {"ray_options": ray_options}))


class _Decorator:
    """``func`` and ``func.batch``."""

    def __call__(self, function: Callable | None = None, **options: Any) -> Any:
        """Decorates a function of one row: called with column expressions it gives an expression.

        A generator gives a row for each of its values, as a generator method does. ``with_concurrency(n)`` and
        ``with_ray_options(...)`` of the function, as of a method of an instance, give a copy with other options.

        Parameters
        ----------
        return_dtype : DataType
            Optional: found out where it is needed.
        unnest
            As of `method`.
        max_retries, on_error, use_process, max_concurrency, gpus
            As of `cls`.
        """
        return Func(function, False, options) if function is not None else lambda f: Func(f, False, options)

    def batch(self, function: Callable | None = None, **options: Any) -> Any:
        """Decorates a function of whole Series; ``batch_size`` is the most rows of one call."""
        return Func(function, True, options) if function is not None else lambda f: Func(f, True, options)


func = _Decorator()
