"""Classes that load once per worker: `cls`, `method`, `func`, `stateful`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from houndstooth import _core
from houndstooth._signature import MISSING, Signature, is_async, is_generator, signature_of
from houndstooth.node import policy_of

_OWN = frozenset(
    "__init__ __new__ __class__ __dict__ __weakref__ __module__ __doc__ __qualname__ __name__ __getattribute__ "
    "__getattr__ __setattr__ __delattr__ __reduce__ __reduce_ex__ __getstate__ __setstate__ __init_subclass__ "
    "__subclasshook__ __del__ __slots__ __annotations__ __repr__ __str__ __sizeof__ __dir__ __format__ "
    "__static_attributes__ __firstlineno__ __parameters__ __orig_bases__ __class_getitem__ __set_name__ "
    "__match_args__ __abstractmethods__ __cache_key__ __getnewargs__ __getnewargs_ex__".split()
)


class MethodOptions:
    """What `method` and `method.batch` note on a function."""

    def __init__(self, batch: bool, **given: Any) -> None:
        known = {"return_dtype", "unnest", "max_retries", "on_error", "timeout", "retry_wait"}
        if batch:
            known |= {"batch_size", "row", "over", "broadcast"}
        for name in given:
            if name not in known:
                what = "method.batch()" if batch else "method()"
                raise TypeError(f"{what} has no option {name!r}; there are {sorted(known)}")
        size = given.get("batch_size")
        if size is not None and (not isinstance(size, int) or size < 1):
            raise ValueError(f"batch_size is at least 1, not {size!r}")
        if given.get("on_error") is not None:
            policy_of(given["on_error"] if given["on_error"] != "log" else "null")
        if given.get("unnest") and not _is_struct(given.get("return_dtype")):
            raise ValueError(f"unnest needs a return_dtype that is a struct, not {given.get('return_dtype')!r}")
        self.batch, self.given = batch, given

    def get(self, name: str, otherwise: Any = None) -> Any:
        value = self.given.get(name)
        return otherwise if value is None else value


def _is_struct(dtype: Any) -> bool:
    if isinstance(dtype, _core.DataType):
        return dtype._fields() is not None
    return bool(getattr(dtype, "is_struct", bool)())  # Daft's


class _Method:
    """``method`` and ``method.batch``: options of methods. Plain methods need neither."""

    def __call__(self, function: Callable | None = None, **options: Any) -> Any:
        """Gives a method of a decorated class options of its own; a method without any needs no decorator.

        Over columns a generator method gives a row for each of its values, the other columns repeated; without any, a
        row with null. An asynchronous generator makes no column.

        Parameters
        ----------
        return_dtype : DataType
            Type of the results as a column. Optional: found out where it is needed.
        unnest : bool
            Over columns, the fields of the results are columns of their own; the return_dtype is a struct then.
        max_retries, on_error
            As of `cls`, for this method.
        retry_wait : float
            Seconds before the first repetition, doubled each time. Default 0.1.
        timeout : float
            Seconds that one call may take where it is asynchronous or in another process.

        Raises
        ------
        TypeError
            There is no such option; the message has those that there are.
        ValueError
            An option is none that can be; unnest without a struct.
        """
        return _noting(False, function, options)

    def batch(self, function: Callable | None = None, **options: Any) -> Any:
        """Marks a method that works on many rows at once: its first parameter is a Series of them.

        A method named ``X_batch`` or ``batch_X`` is the batch form of ``X`` where their other parameters agree: calls
        of ``X`` from nodes are gathered and made by it.

        Parameters
        ----------
        return_dtype : DataType
            Type of the results as a column. Optional: found out where it is needed.
        batch_size : int
            Most rows of one call.
        row : str or None
            The row method that this is the batch form of; None: of none.
        over : str or tuple of str
            Parameters that differ from row to row. Default: the first.
        broadcast : bool
            Whether one result may stand for all rows.
        unnest, max_retries, on_error, timeout
            As of `method`.
        """
        return _noting(True, function, options)


def _noting(batch: bool, function: Callable | None, options: dict[str, Any]) -> Any:
    noted = MethodOptions(batch, **options)

    def note(f: Callable) -> Callable:
        f._ht_method = noted
        return f

    return note if function is None else note(function)


method = _Method()


# ---- what a class offers ----


class _Plan:
    """One method of a class as the library knows it."""

    def __init__(self, name: str, function: Callable, options: ClassOptions, is_static: bool = False) -> None:
        self.name, self.function, self.is_static = name, function, is_static
        self.noted: MethodOptions = getattr(function, "_ht_method", None) or MethodOptions(False)
        self.signature: Signature = signature_of(function, 0 if is_static else 1)
        self.is_async, self.is_generator = is_async(function), is_generator(function)
        if self.is_async and options.max_concurrency:
            from houndstooth._loop import limited, limited_function

            self.function = (limited_function if is_static else limited)(function, options.max_concurrency)
        self.options = options
        self.batch: _Plan | None = None  # its batch form
        self.row: _Plan | None = None  # of a batch form: what it is the form of

    def is_batch(self) -> bool:
        return self.noted.batch or self.row is not None

    def policy(self) -> dict[str, Any]:
        get, options = self.noted.get, self.options
        on_error = get("on_error", options.on_error)
        retries = get("max_retries", options.max_retries)
        timeout = get("timeout")
        return {
            "max_retries": retries,
            "retry_wait_ms": round(1000 * get("retry_wait", 0.1)) if retries else 0,
            "on_error": policy_of("null" if on_error == "log" else on_error),
            "timeout_ms": round(1000 * timeout) if timeout else 0,
        }

    def over(self) -> int:
        names = self.noted.get("over")
        params = self.signature.params
        if names is None:
            return 1
        mask = 0
        for name in (names,) if isinstance(names, str) else names:
            if name not in params:
                raise ValueError(f"{self.name}: over names {name!r}, which is no parameter; there are {params}")
            mask |= 1 << params.index(name)
        return mask

    def wants_series(self) -> bool:
        """Series where the first parameter is annotated as one or not at all, else a list."""
        notes = getattr(self.function, "__annotations__", {})
        params = self.signature.params
        note = notes.get(params[0]) if params else None
        return note is None or "Series" in (note if isinstance(note, str) else getattr(note, "__name__", str(note)))

    def described(self, name: str, row: bool, batch: _Plan | None) -> dict[str, Any]:
        form = batch or self
        return {
            "name": name,
            "params": self.signature.params,
            "n_positional": self.signature.n_positional,
            "row": self.function if row else None,
            "is_async": row and self.is_async and batch is None,
            "batch": batch.function if batch else None,
            "batch_params": form.signature.params,
            "batch_positional": form.signature.n_positional,
            "as_series": form.wants_series(),
            "broadcast": bool(form.noted.get("broadcast", False)),
            "is_static": self.is_static,
            "over": form.over() if batch or (row and form.is_batch()) else 0,
            "is_whole": row and batch is None and self.is_batch(),
            "batch_size": form.noted.get("batch_size", 0),
            **form.policy(),
        }


class ClassOptions:
    """Options of `cls`, as Daft names them."""

    def __init__(
        self,
        cpus: float | None = None,
        gpus: float = 0,
        use_process: bool | None = None,
        max_concurrency: int | None = None,
        max_retries: int | None = None,
        on_error: str | None = None,
        name_override: str | None = None,
        ray_options: dict[str, Any] | None = None,
    ) -> None:
        if max_concurrency is not None and max_concurrency < 1:
            raise ValueError(f"max_concurrency is at least 1, not {max_concurrency}")
        if gpus < 0 or (gpus > 1 and gpus != int(gpus)):
            raise ValueError(f"gpus is a share up to 1, or a whole number, not {gpus}")
        self.cpus, self.gpus, self.use_process = cpus, gpus, bool(use_process)
        self.max_concurrency = max_concurrency or 0
        self.max_retries, self.on_error = max_retries or 0, on_error or "raise"
        policy_of("null" if self.on_error == "log" else self.on_error)
        for name in ("num_cpus", "num_gpus", "memory"):
            if name in (ray_options or {}):
                raise ValueError(f"ray_options has no {name!r}: cpus and gpus say what an object takes")
        self.name_override, self.ray_options = name_override, ray_options

    def given(self) -> dict[str, Any]:
        return {
            "cpus": self.cpus,
            "gpus": self.gpus,
            "use_process": self.use_process,
            "max_concurrency": self.max_concurrency or None,
            "max_retries": self.max_retries,
            "on_error": self.on_error,
            "name_override": self.name_override,
            "ray_options": self.ray_options,
        }


def _methods_of(target: type, options: ClassOptions) -> dict[str, _Plan]:
    from types import FunctionType

    found: dict[str, _Plan] = {}
    for base in reversed(target.__mro__[:-1]):
        for name, value in vars(base).items():
            found.pop(name, None)
            if isinstance(value, FunctionType) and (not name.startswith("_") or name == "__call__"):
                found[name] = _Plan(name, value, options)
    return {n: p for n, p in found.items() if not p.signature.variadic}


def _row_name(name: str) -> str | None:
    if name.endswith("_batch"):
        return name[:-6]
    return name[6:] if name.startswith("batch_") else None


def _pair(plans: dict[str, _Plan]) -> None:
    """Finds the batch form of each row method."""
    for name, plan in plans.items():
        explicit = plan.noted.given.get("row", MISSING)
        row = _row_name(name) if explicit is MISSING else explicit
        if row is None:
            continue
        of = plans.get(row)
        if of is None or of is plan or of.noted.batch:
            if explicit is not MISSING:
                raise ValueError(f"{name}: row names {row!r}, which is no row method of the class")
            continue
        if of.signature.params[1:] != plan.signature.params[1:]:
            if explicit is not MISSING:
                raise ValueError(f"{name} and {row} differ in the parameters behind the first")
            continue
        if plan.is_async or of.is_async:  # what overlaps by itself gains nothing from waiting for others
            continue
        plan.row, of.batch = of, plan


def _listing(function: Callable) -> Callable:
    """A generator as a function of all its values: a call of a column's row, repeated as a whole."""
    from functools import wraps

    return wraps(function)(lambda *args, **kwargs: list(function(*args, **kwargs)))


def _describe(plans: dict[str, _Plan]) -> tuple[dict[str, Any], ...]:
    methods = []
    for name, plan in plans.items():
        if plan.is_batch():
            methods.append({**plan.described(name, True, None), "is_async": False})
            pieces = plan.described(name + ":batch", True, None)
            methods.append({**pieces, "is_async": plan.is_async, "as_list": not plan.wants_series()})
        else:
            methods.append(plan.described(name, True, plan.batch))
            if plan.batch or plan.is_async:
                methods.append({**plan.described(name + ":row", True, None), "is_async": False})
            if plan.is_generator:
                methods.append({**plan.described(name + ":list", True, None), "row": _listing(plan.function)})
    return tuple(methods)


# ---- proxies ----


class ProxyMeta(type):
    """The class of decorated classes: what they lack, the wrapped class has."""

    @property
    def __ht_class__(cls) -> Any:
        made = cls.__dict__.get("_ht_made")
        if made is None:
            from houndstooth._digest import class_hash

            options: ClassOptions = cls.__ht_options__
            if options.use_process:
                from houndstooth._processes import prepare

                prepare()
            target = cls.__wrapped__
            made = _core.Class(
                target,
                options.name_override or f"{target.__module__}.{target.__qualname__}",
                _describe(cls.__ht_plans__),
                max_concurrency=options.max_concurrency,
                use_process=options.use_process,
                gpus=options.gpus,
                version=class_hash(target),
            )
            made.set_proxy(cls)
            type.__setattr__(cls, "_ht_made", made)
        return made

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__ht_") or name == "__wrapped__":
            raise AttributeError(name)
        return getattr(cls.__wrapped__, name)

    def __repr__(cls) -> str:
        return f"<houndstooth class {cls.__module__}.{cls.__qualname__}>"


def _forward(name: str) -> Callable:
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._call("(call)", name, args, kwargs)

    forward.__name__ = name
    return forward


def _get(self: Any, name: str) -> Any:
    if name.startswith("__") and name.endswith("__"):
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
    return self._call("(get)", name)


def _set(self: Any, name: str, value: Any) -> None:
    self._call("(set)", name, value)


def _repr(self: Any) -> str:
    _, args, kwargs = self._spec
    inside = [_short(a) for a in args] + [f"{k}={_short(v)}" for k, v in kwargs.items()]
    return f"{type(self).__name__}({', '.join(inside)})"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _reduce(self: Any) -> Any:
    _, args, kwargs = self._spec
    return _remake, (type(self), args, kwargs)


def _remake(proxy: type, args: tuple, kwargs: dict[str, Any]) -> Any:
    return proxy(*args, **kwargs)


def _no_subclass(cls: type, **kwargs: Any) -> None:
    raise TypeError(f"derive from {cls.__mro__[1].__name__}.__wrapped__ and decorate the derived class")


def _binder(plan: _Plan, direct_only: bool) -> Any:
    from houndstooth._expression import expression

    s = plan.signature
    is_batch = plan.is_batch()
    direct = plan.name + ":row" if plan.batch or (plan.is_async and not is_batch) else plan.name
    away = None
    if plan.options.use_process and (plan.is_async or plan.is_generator):  # what it gives cannot travel, its end can
        from houndstooth._loop import call_away

        away = call_away if plan.is_async else _items_away
        direct = plan.name + (":batch" if is_batch else "" if plan.is_async else ":list")
    defaults = tuple(s.defaults.get(p, _core.Method) for p in s.params)
    gathers = not is_batch and (plan.batch is not None or plan.is_async)
    over = plan.batch.over() if plan.batch is not None else 0
    ways = (plan.name, direct, gathers, expression, is_batch, over, away)
    return _core.Method(plan.name, plan.function, s.params, s.n_positional, defaults, *ways)


def _items_away(instance: Any, name: str, args: tuple[Any, ...]) -> Any:
    yield from instance._call(name, *args)


def _variadic(function: Callable) -> Callable:
    from functools import wraps

    return wraps(function)(_forward(function.__name__))


def _proxy(target: type, options: ClassOptions) -> type:
    plans = _methods_of(target, options)
    _pair(plans)
    return proxy_of(target, options, plans)


def proxy_of(target: type, options: ClassOptions, plans: dict[str, _Plan]) -> type:
    """The class of proxies of a class with these methods."""
    space: dict[str, Any] = {
        "__module__": target.__module__,
        "__qualname__": target.__qualname__,
        "__doc__": target.__doc__,
        "__wrapped__": target,
        "__ht_options__": options,
        "__ht_plans__": plans,
        "__getattr__": _get,
        "__setattr__": _set,
        "__repr__": _repr,
        "__reduce__": _reduce,
        "__init__": lambda self, *args, **kwargs: None,
    }
    for base in reversed(target.__mro__[:-1]):
        for name, value in vars(base).items():
            if name.startswith("__") and name.endswith("__") and callable(value) and name not in _OWN:
                space[name] = _forward(name)
            elif callable(value) and hasattr(value, "__code__") and not name.startswith("_") and name not in plans:
                space[name] = _variadic(value)
    for name, plan in plans.items():
        space[name] = _binder(plan, plan.noted.batch)
    if "__eq__" in space and "__hash__" not in vars(target):
        space["__hash__"] = object.__hash__
    made = ProxyMeta(target.__name__, (_core.Instance,), space)
    type.__setattr__(made, "__init_subclass__", classmethod(_no_subclass))
    return made


def cls(class_: type | None = None, **options: Any) -> Any:
    """Decorates a class so that it loads once per worker, at its first use, and batches by itself.

    Construction keeps the arguments; ``__init__`` runs where the first call is made. An instance is called like a plain
    object, in the bodies of nodes, as a node, over columns of a frame, and on every engine.

    Parameters
    ----------
    cpus, gpus : float
        What one live object takes. GPUs are counted: a share up to 1, or a whole number.
    use_process : bool
        Live objects stay in processes of their own; coroutines are awaited there, generators run to their end.
    max_concurrency : int
        Most live objects in a worker, default 1; of an object's asynchronous methods, most calls under way.
    max_retries : int
        Repetitions of a failing call.
    on_error : "raise", "null" ("log", "ignore") or "skip"
        What becomes of a call that fails after them.
    name_override : str
        Its name in plans, traces and messages.

    Examples
    --------
    >>> @cls
    ... class Encoder:
    ...     def __init__(self, name):
    ...         self.model = load(name)
    ...     def encode(self, text): ...
    ...     @method.batch
    ...     def encode_batch(self, texts): ...
    """
    chosen = ClassOptions(**options)

    def decorate(target: type) -> type:
        if not isinstance(target, type):
            raise TypeError(f"cls decorates a class, not a {type(target).__name__}")
        if issubclass(target, _core.Instance):
            raise TypeError(f"{target.__name__} is decorated already")
        return _proxy(target, chosen)

    return decorate if class_ is None else decorate(class_)


def changed(bound: Any, **options: Any) -> Any:
    """The same method of a copy of its instance with these options of `cls`: one copy for the same options."""
    instance = bound.__self__
    proxy = type(instance)
    given = with_options(proxy.__ht_options__.given(), options)
    copies = vars(instance).setdefault("_ht_copies", {})
    key = repr(sorted(given.items(), key=lambda item: item[0]))
    if key not in copies:
        _, args, kwargs = instance._spec
        copies[key] = cls(**given)(proxy.__wrapped__)(*args, **kwargs)
    return getattr(copies[key], bound.__func__.name)


def with_options(given: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Options of `cls` with others in their places; those of Ray are added."""
    made = {**given, **options}
    if "ray_options" in options:
        made["ray_options"] = {**(given.get("ray_options") or {}), **options["ray_options"]}
    return made


def stats(instance: Any) -> dict[str, int]:
    """What an instance of a decorated class did in this process so far.

    Returns
    -------
    dict
        "objects": live objects made; "row_calls": row methods called one at a time; "batch_calls" and "batch_rows":
        calls of batch methods and the rows in them; "starts": asynchronous calls begun.
    """
    if not hasattr(type(instance), "_stats"):
        raise TypeError(f"an instance of a decorated class is needed, not {type(instance).__name__}")
    return instance._stats()


def stateful(class_: type | None = None, **options: Any) -> Any:
    """`cls` under the name that HyperNodes gives it."""
    return cls(class_, **options)
