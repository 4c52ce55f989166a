"""Nodes: functions whose parameters and outputs are wired by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from houndstooth import _core
from houndstooth._signature import Signature, is_async, signature_of

ON_ERROR = {"raise": 0, "null": 1, "ignore": 1, "skip": 2}


def policy_of(on_error: str) -> int:
    """The number that the library has for an error policy; ValueError names the choices."""
    try:
        return ON_ERROR[on_error]
    except (KeyError, TypeError):
        raise ValueError(f"on_error is 'raise', 'null' or 'skip', not {on_error!r}") from None


def check_outputs(output_name: Any, otherwise: str) -> str | tuple[str, ...]:
    """An output's name, or a tuple of them."""
    if output_name is None:
        return otherwise
    if isinstance(output_name, str):
        return output_name
    names = tuple(output_name)
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f"output_name is a name or a tuple of names, not {output_name!r}")
    return names


class Node:
    """A function as a node of pipelines; called directly it is the function.

    Attributes
    ----------
    func : the function
    name : its ``__name__``
    output_name : a name, or a tuple of names for a function that returns a tuple
    cache : whether its results may be kept by an engine with a cache

    Raises
    ------
    TypeError
        Its parameters are not all named: ``*args``, ``**kwargs``.
    """

    def __init__(self, func: Callable, output_name: Any = None, cache: bool = True, **options: Any) -> None:
        self.func = func
        self.name = name_of(func)
        self.output_name = check_outputs(output_name, self.name)
        self.cache = cache
        self._options = NodeOptions(**options)
        self._signature = _checked(func, self.name)
        self._call = func
        self._lifted: list[str] = []
        self._body: Any = None
        self._hash: str | None = None
        if hasattr(func, "__name__"):
            update_wrapper(self, func, updated=())

    @property
    def root_args(self) -> tuple[str, ...]:
        """Names of its parameters, in order."""
        return self._signature.params

    @property
    def defaults(self) -> dict[str, Any]:
        """Values of the parameters that have one."""
        return dict(self._signature.defaults)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of its outputs, also where there is one."""
        return (self.output_name,) if isinstance(self.output_name, str) else self.output_name

    @property
    def is_async(self) -> bool:
        """Whether its function is a coroutine function."""
        return is_async(self.func)

    @property
    def code_hash(self) -> str:
        """64 hexadecimal digits of all that the function's result depends on beside its arguments."""
        if self._hash is None:
            from houndstooth._digest import code_hash

            self._hash = code_hash(self.func)
        return self._hash

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.func(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Node({self.name}({', '.join(self.root_args)}) -> {', '.join(self.outputs)})"

    def __reduce__(self) -> Any:
        if _importable(self):
            return self.func.__qualname__  # by its name, as functions are
        return self._by_value()

    def _by_value(self) -> Any:
        return _rebuild, (type(self), self._made_of(), self._hash, self.name)

    def _made_of(self) -> dict[str, Any]:
        options = self._options.changed()
        return {"func": self.func, "output_name": self.output_name, "cache": self.cache, **options}

    # ---- into a pipeline ----

    def _instances(self) -> bool:
        """Whether its closure, defaults or named globals hold instances or classes of ours."""
        return bool(_held_instances(self.func))

    def _add_to(self, core: Any, cached: bool) -> None:
        bound = self.func
        if isinstance(bound, _core.BoundMethod) and not bound.__func__.direct_only:
            core.add_method(
                self.name, bound.__self__, bound.__func__.auto_name, self.root_args, self.defaults, self.outputs[0]
            )
            return
        if self._body is None:
            self._body = self._make_body()
        o = self._options
        core.add_node(
            self._body,
            self.name,
            self._signature.params,
            self._signature.defaults or None,
            self.outputs,
            version=self.code_hash if cached and self.cache else None,
            max_retries=o.max_retries,
            retry_wait_ms=o.retry_wait_ms,
            on_error=o.on_error,
            timeout_ms=o.timeout_ms,
            batch_size=o.batch_size,
            code=self,
        )

    def _described(self) -> tuple[Any, ...]:
        """What a worker makes of it."""
        if self._body is None:
            self._body = self._make_body()
        o = self._options
        version = self.code_hash if self.cache else None
        retries = (o.max_retries, o.retry_wait_ms, o.on_error, o.timeout_ms)
        self._told = (self._body, version, o.batch_size, *retries)  # kept: the library borrows the text
        return self._told

    def _make_body(self) -> Any:
        s = self._signature
        call = self.func
        if self._options.lift:
            from houndstooth._lift import lift

            call, self._lifted = lift(self.func)
        return _core.Body(
            call,
            s.params,
            s.n_positional,
            len(self.outputs),
            is_async=self.is_async,
            parks=self._instances(),
            coalesce=self._options.coalesce,
        )


class NodeOptions:
    """What a node may be given beside its function, its outputs and whether it is cached."""

    __slots__ = ("max_retries", "retry_wait_ms", "on_error", "timeout_ms", "batch_size", "coalesce", "lift", "_given")

    def __init__(
        self,
        max_retries: int = 0,
        retry_wait: float = 0.1,
        on_error: str = "raise",
        timeout: float | None = None,
        batch_size: int | None = None,
        coalesce: bool = True,
        lift: bool = True,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size is at least 1, not {batch_size}")
        if max_retries < 0:
            raise ValueError(f"max_retries is not negative: {max_retries}")
        self._given = (max_retries, retry_wait, on_error, timeout, batch_size, coalesce, lift)
        self.max_retries = max_retries
        self.retry_wait_ms = round(1000 * retry_wait) if max_retries else 0
        self.on_error = policy_of(on_error)
        self.timeout_ms = round(1000 * timeout) if timeout else 0
        self.batch_size = batch_size or 0
        self.coalesce = coalesce
        self.lift = lift

    def changed(self) -> dict[str, Any]:
        names = ("max_retries", "retry_wait", "on_error", "timeout", "batch_size", "coalesce", "lift")
        usual = NodeOptions()._given
        return {n: v for n, v, u in zip(names, self._given, usual, strict=False) if v != u}


def _importable(made: Node) -> bool:
    import sys

    func = made.func
    found: Any = sys.modules.get(getattr(func, "__module__", None) or "")
    for part in getattr(func, "__qualname__", "<none>").split("."):
        found = getattr(found, part, None)
    return found is made


def _rebuild(kind: type, options: dict[str, Any], code_hash: str | None, name: str) -> Node:
    made = kind(**options)
    made._hash, made.name = code_hash, name
    return made


def name_of(func: Any) -> str:
    """The name that a node of it has."""
    name = getattr(func, "__name__", None)
    if name is None and hasattr(func, "func"):  # a partial
        return name_of(func.func)
    return name if name is not None else type(func).__name__


def _checked(func: Any, name: str) -> Signature:
    s = signature_of(func)
    if s.variadic:
        raise TypeError(
            f"node '{name}': inputs are wired by name, and {' and '.join(s.variadic)} "
            f"{'has' if len(s.variadic) == 1 else 'have'} none; name the parameters"
        )
    return s


def _held_instances(func: Any) -> list[str]:
    """Names under which a function reaches instances of our classes, or the classes themselves."""
    func = getattr(func, "__func__", func)
    code = getattr(func, "__code__", None)
    if code is None:
        return []
    found = []
    scope = getattr(func, "__globals__", {})
    for name in code.co_names:
        if _is_ours(scope.get(name)):
            found.append(name)
    for name, cell in zip(code.co_freevars, func.__closure__ or (), strict=False):
        try:
            if _is_ours(cell.cell_contents):
                found.append(name)
        except ValueError:
            pass  # not filled yet
    if func.__defaults__ or func.__kwdefaults__:
        found += [name for name, value in signature_of(func).defaults.items() if _is_ours(value)]
    return found


def _is_ours(value: Any) -> bool:
    return isinstance(value, _core.Instance) or (isinstance(value, type) and issubclass(value, _core.Instance))


def node(output_name: Any = None, cache: bool = True, **options: Any) -> Any:
    """Makes a node of a function: ``@node``, ``@node()`` or ``@node(output_name="x")``.

    Parameters
    ----------
    output_name : str or tuple of str
        Default: the function's name. A tuple names the elements of a returned tuple, whose length must agree.
    cache : bool
        Whether an engine with a cache may keep its results.
    max_retries, retry_wait : int, float
        Repetitions of a failing call; seconds before the first one, doubled each time.
    on_error : "raise", "null" or "skip"
        What becomes of a call that fails after them: an error, None, or an item that leaves its map.
    timeout : float
        Seconds that one asynchronous call may take.
    coalesce : bool
        False: calls of instances in its body run at once, never in a batch with those of other items.
    lift : bool
        False: comprehensions of such calls stay as they are.

    Returns
    -------
    Node
        Called directly it is the function.

    Raises
    ------
    TypeError, ValueError
        Parameters without names, an output's name that is no str, an option that there is not or out of its range.
    """
    if callable(output_name) and not isinstance(output_name, (str, tuple, list)):
        return Node(output_name, None, cache, **options)
    return lambda func: Node(func, output_name, cache, **options)


class DualNode(Node):
    """One piece of work in two forms: `singular` for one item, `batch` wherever items are mapped.

    In a batch each mapped input comes as a Series of all rows; what all rows share comes as it is. `batch` returns a
    list, array or Series of as many results, or a tuple of such where several outputs are named.

    Parameters
    ----------
    output_name : str or tuple of str
        Default: the name of `singular`, without a ``_singular``, ``_one`` or ``_single`` at its end.
    singular, batch : function
        Of the same parameters, in any order.
    cache, **options
        As of `node`.

    Raises
    ------
    TypeError
        Their parameters differ.
    """

    def __init__(
        self, output_name: Any, singular: Callable, batch: Callable, cache: bool = True, **options: Any
    ) -> None:
        super().__init__(singular, output_name, cache, **options)
        for suffix in ("_singular", "_one", "_single"):
            if self.name.endswith(suffix) and len(self.name) > len(suffix):
                self.name = self.name[: -len(suffix)]
        if output_name is None:
            self.output_name = self.name
        self.singular, self.batch = singular, batch
        theirs = signature_of(batch)
        if theirs.variadic or set(theirs.params) != set(self.root_args):
            raise TypeError(
                f"dual node '{self.name}': batch takes ({', '.join(theirs.params + theirs.variadic)}), "
                f"singular ({', '.join(self.root_args)}); they must agree"
            )

    @property
    def code_hash(self) -> str:
        """As a node's, of both forms."""
        if self._hash is None:
            from houndstooth._digest import code_hash

            self._hash = code_hash(self.singular, self.batch)
        return self._hash

    def _made_of(self) -> dict[str, Any]:
        made = super()._made_of()
        del made["func"]
        return {**made, "singular": self.singular, "batch": self.batch}

    def __repr__(self) -> str:
        return "Dual" + super().__repr__()

    def _make_body(self) -> Any:
        s, theirs = self._signature, signature_of(self.batch)
        n = s.n_positional if theirs.params == s.params else 0
        return _core.Body(self.singular, s.params, n, len(self.outputs), batch=self.batch, is_async=False)
