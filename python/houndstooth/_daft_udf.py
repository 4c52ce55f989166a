"""Decorated classes in real Daft frames: a method called with a Daft expression gives a Daft expression.

Daft sees an adapter class, generated per decorated class, whose methods forward to one instance of this package in each
process: loaded once, in its own process where the class says so, whatever the columns' types.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any

from houndstooth import _core

DataType = _core.DataType
_lock = threading.Lock()
_here: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()  # instances of this process, by number
_elsewhere: dict[bytes, Any] = {}  # made from specs that came from other processes
_adapters: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
_classes: weakref.WeakKeyDictionary[type, Any] = weakref.WeakKeyDictionary()


def daft_expression(instance: Any, name: str, args: tuple[Any, ...]) -> Any:
    """The method over columns of a Daft frame.

    Returns
    -------
    daft.Expression
        Of the method's ``return_dtype``, else of its annotation, else of Python objects.
    """
    return getattr(_adapter(instance), name)(*args)


def _adapter(instance: Any) -> Any:
    with _lock:
        made = _adapters.get(instance)
        if made is None:
            from houndstooth._pickle import dumps

            _here[id(instance)] = instance
            made = _adapters[instance] = _adapter_class(type(instance))(id(instance), dumps(instance))
    return made


def _instance_of(token: int, spec: bytes) -> Any:
    """The instance itself in its own process, else one for each spec."""
    with _lock:
        found = _here.get(token)
        if found is not None and _spec_of(found) == spec:
            return found
        made = _elsewhere.get(spec)
        if made is None:
            from houndstooth._pickle import loads

            made = _elsewhere[spec] = loads(spec)
    return made


def _spec_of(instance: Any) -> bytes:
    from houndstooth._pickle import dumps

    return dumps(instance)


def _adapter_class(proxy: type) -> Any:
    made = _classes.get(proxy)
    if made is not None:
        return made
    from houndstooth._daft import daft_module

    daft = daft_module()

    def init(self: Any, token: int, spec: bytes) -> None:
        self.instance = _instance_of(token, spec)

    space: dict[str, Any] = {"__init__": init, "__module__": __name__, "__qualname__": proxy.__name__}
    for name, plan in proxy.__ht_plans__.items():
        space[name] = _method(daft, name, plan)
    options = proxy.__ht_options__
    kind = type(proxy.__name__, (), space)
    # Not use_process: the instance has processes of its own then, whatever Daft makes of the columns.
    for_ray = {"ray_options": options.ray_options} if options.ray_options else {}
    made = daft.cls(kind, gpus=options.gpus or 0, name_override=options.name_override, **for_ray)
    _classes[proxy] = made
    return made


def _method(daft: Any, name: str, plan: Any) -> Callable:
    dtype, unnest = _dtype_of(daft, plan), bool(plan.noted.get("unnest"))
    if plan.is_batch():
        call = _async_batch(name, dtype, daft) if plan.is_async else _batch(name, dtype, daft)
        return daft.method.batch(return_dtype=dtype, unnest=unnest, batch_size=plan.noted.get("batch_size"))(call)
    way = _async_row if plan.is_async else _rows if plan.is_generator else _row
    return daft.method(return_dtype=dtype, unnest=unnest)(way(name))


def _row(name: str) -> Callable:
    def row(self: Any, *args: Any) -> Any:
        return getattr(self.instance, name)(*args)

    return row


def _rows(name: str) -> Callable:
    def rows(self: Any, *args: Any) -> Any:
        yield from getattr(self.instance, name)(*args)

    return rows


def _async_row(name: str) -> Callable:
    async def row(self: Any, *args: Any) -> Any:
        return await getattr(self.instance, name)(*args)

    return row


def _batch(name: str, dtype: Any, daft: Any) -> Callable:
    def batch(self: Any, *args: Any) -> Any:
        return _column(getattr(self.instance, name)(*args), dtype)

    return batch


def _async_batch(name: str, dtype: Any, daft: Any) -> Callable:
    async def batch(self: Any, *args: Any) -> Any:
        return _column(await getattr(self.instance, name)(*args), dtype)

    return batch


def _column(result: Any, dtype: Any) -> Any:
    """A batch's result as Daft takes it: objects stay the objects that they are."""
    import daft

    if isinstance(result, daft.Series):
        return result
    for way in ("to_pylist", "tolist"):
        if hasattr(result, way):
            result = getattr(result, way)()
            break
    if dtype == daft.DataType.python():
        return daft.Series.from_pylist(list(result), dtype=dtype)
    return list(result)


def _dtype_of(daft: Any, plan: Any) -> Any:
    given = plan.noted.get("return_dtype")
    if given is None and not plan.is_batch():
        given = getattr(plan.function, "__annotations__", {}).get("return")
        if plan.is_generator:
            given = _item_of(given)
    return as_daft_dtype(daft, given)


def _item_of(note: Any) -> Any:
    """What an Iterator[...] or Generator[...] gives."""
    from typing import get_args

    if isinstance(note, str):
        return note.partition("[")[2].rstrip("]").partition(",")[0].strip()
    return next(iter(get_args(note)), None)


def as_daft_dtype(daft: Any, given: Any) -> Any:
    """Daft's data type for one of ours, one of its own, or an annotation; Python objects for everything else."""
    kinds = daft.DataType
    if isinstance(given, kinds):
        return given
    simple = {
        "int": kinds.int64(),
        "float": kinds.float64(),
        "str": kinds.string(),
        "bool": kinds.bool(),
        "bytes": kinds.binary(),
    }
    name = given if isinstance(given, str) else getattr(given, "__name__", None)
    if (isinstance(given, (str, type))) and name in simple:
        return simple[name]
    if isinstance(given, DataType):
        return _translated(daft, given)
    return kinds.python()


def _translated(daft: Any, given: Any) -> Any:
    """Of the same constructors, which Daft has under the same names; Python objects where it lacks one inside."""
    kinds = daft.DataType
    maker, args = given.__reduce__()
    name = args[0] if maker.__name__ == "_of" else maker.__name__
    make = getattr(kinds, name, kinds.python)
    if name in ("list", "fixed_size_list", "struct"):
        fields = args[0] if name == "struct" else {"": args[0]}
        inner = {field: _translated(daft, dtype) for field, dtype in fields.items()}
        if kinds.python() in inner.values():
            return kinds.python()
        return make(inner if name == "struct" else inner[""], *args[1:])
    return make()


_ours: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def ours_of(value: Any) -> Any:
    """An instance of a class that Daft decorated as one of ours, so that its batch methods are used in nodes.

    The class is read from its base ``ClsBase[C]``, the constructor's arguments from the state that it is pickled by;
    what tells neither is given back as it is.
    """
    from typing import get_args

    bases = getattr(type(value), "__orig_bases__", ())
    classes = [c for base in bases for c in get_args(base) if isinstance(c, type)]
    if len(classes) != 1 or not hasattr(value, "__getstate__"):
        return value
    with _lock:
        found = _ours.get(value)
    if found is not None:
        return found
    state = value.__getstate__()
    setups = [s for s in state.values() if _is_setup(s)] if isinstance(state, dict) else []
    if len(setups) != 1:
        return value
    from houndstooth._cls import cls

    args, kwargs = setups[0]
    made = cls(classes[0])(*args, **kwargs)
    with _lock:
        return _ours.setdefault(value, made)


def _is_setup(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], tuple) and isinstance(value[1], dict)
