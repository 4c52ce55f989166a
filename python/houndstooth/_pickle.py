"""Objects as bytes for other processes: pickle where it suffices, cloudpickle for functions and classes of a script.

Decorated classes travel as the class that they wrap and their options, so that a worker decorates anew.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

from houndstooth import _core
from houndstooth._cls import ProxyMeta
from houndstooth.node import Node

_SCRIPTS = ("__main__", "__mp_main__")  # what they define, no other process can import

_pickler: Any = None


def _make_pickler() -> Any:
    import cloudpickle

    class Pickler(cloudpickle.Pickler):
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, ProxyMeta) and "_ht_func" in vars(obj.__wrapped__):
                return _function_class, obj.__wrapped__._ht_func
            if isinstance(obj, ProxyMeta) and not _importable(obj):
                return _decorated, (obj.__wrapped__, obj.__ht_options__.given(), obj.__module__, obj.__qualname__)
            if isinstance(obj, Node) and obj.__module__ in _SCRIPTS:
                return obj._by_value()
            if type(obj) is _core.Class:
                return _class_of, (obj.proxy,)
            return super().reducer_override(obj)

    return Pickler


def _importable(obj: Any) -> bool:
    import sys

    if obj.__module__ in _SCRIPTS or "<locals>" in obj.__qualname__:
        return False
    found: Any = sys.modules.get(obj.__module__)
    for part in obj.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is obj


def _class_of(proxy: Any) -> Any:
    return proxy.__ht_class__


_made: dict[Any, Any] = {}


def _decorated(target: type, options: dict[str, Any], module: str, qualname: str) -> type:
    from houndstooth._cls import cls
    from houndstooth._digest import class_hash

    key = (module, qualname, class_hash(target), repr(sorted(options.items())))
    if key not in _made:
        _made[key] = cls(**options)(target)
    return _made[key]


def _function_class(function: Any, batch: bool, options: dict[str, Any]) -> type:
    """The class of a `func`'s instance."""
    from houndstooth._digest import code_hash
    from houndstooth._func import Func

    key = (function.__module__, function.__qualname__, batch, code_hash(function), repr(sorted(options.items())))
    if key not in _made:
        _made[key] = type(Func(function, batch, options)._instance)
    return _made[key]


def dumps(obj: Any) -> bytes:
    """Bytes that `loads` makes an equal object of, in any process.

    Raises
    ------
    TypeError
        Something in it cannot leave this process; its type is named.
    """
    global _pickler
    if _pickler is None:
        _pickler = _make_pickler()
    out = io.BytesIO()
    _pickler(out, protocol=5).dump(obj)
    return out.getvalue()


loads = pickle.loads


def dump_exception(error: BaseException) -> bytes:
    """An exception for another process; what cannot be pickled becomes a RuntimeError of its text."""
    import traceback

    text = "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip()
    try:
        data = dumps(error)
        if not isinstance(loads(data), type(error)):
            raise TypeError
    except Exception:
        data = dumps(RuntimeError(f"{type(error).__name__}: {error}"))
    return dumps((data, text))


def load_exception(data: bytes) -> BaseException:
    """What `dump_exception` wrote, with the traceback of the other process as a note."""
    inner, text = loads(data)
    error = loads(inner)
    note = "In the worker:\n" + text
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)
    return error
