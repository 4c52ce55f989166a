"""Digests of code and of objects, for keys of caches."""

from __future__ import annotations

import hashlib
import sys
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

FORMAT = b"houndstooth code 1"


def code_hash(*functions: Any) -> str:
    """64 hexadecimal digits of what functions do: bytecode, constants, defaults, closure, and the globals and helper
    functions of the user's own modules that they name."""
    h = hashlib.sha256(FORMAT)
    seen: set[int] = set()
    for function in functions:
        _add(h, function, seen, 0)
    return h.hexdigest()


def class_hash(target: type) -> str:
    """The same for a class: its methods, those of its bases among the user's modules."""
    h = hashlib.sha256(FORMAT)
    _add(h, target, set(), 0)
    return h.hexdigest()


def _is_users(module: str | None) -> bool:
    """Whether a module is the user's own: neither the standard library's nor an installed package's."""
    if module is None or module == "__main__":
        return True
    top = module.partition(".")[0]
    if top in sys.builtin_module_names or top in sys.stdlib_module_names or top == "houndstooth":
        return False
    path = getattr(sys.modules.get(module), "__file__", None)
    return path is None or ("site-packages" not in path and "dist-packages" not in path)


def _add_code(h: Any, code: CodeType) -> None:
    h.update(b"code")
    h.update(code.co_code)
    counts = (code.co_argcount, code.co_kwonlyargcount)
    h.update(repr((code.co_names, code.co_varnames, code.co_freevars, counts)).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _add_code(h, constant)
        elif isinstance(constant, frozenset):
            h.update(repr(sorted(map(repr, constant))).encode())
        else:
            h.update(repr(constant).encode())


def _names_of(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names_of(constant)
    return names


def _add_function(h: Any, function: FunctionType, seen: set[int], depth: int) -> None:
    _add_code(h, function.__code__)
    for value in (function.__defaults__, function.__kwdefaults__):
        _add(h, value, seen, depth + 1)
    for cell in function.__closure__ or ():
        try:
            _add(h, cell.cell_contents, seen, depth + 1)
        except ValueError:
            h.update(b"empty")
    scope = function.__globals__
    for name in sorted(_names_of(function.__code__)):
        if name in scope:
            h.update(name.encode())
            _add(h, scope[name], seen, depth + 1)


def _add_class(h: Any, target: type, seen: set[int], depth: int) -> None:
    h.update(f"class {target.__module__}.{target.__qualname__}".encode())
    for base in target.__mro__[:-1]:
        if not _is_users(base.__module__):
            h.update(f"{base.__module__}.{base.__qualname__}".encode())
            continue
        for name, value in sorted(vars(base).items()):
            if name in ("__dict__", "__weakref__", "__doc__", "__module__", "_ht_made", "__firstlineno__"):
                continue
            h.update(name.encode())
            _add(h, value, seen, depth + 1)


def _add(h: Any, value: Any, seen: set[int], depth: int) -> None:
    wrapped = getattr(value, "__wrapped__", None) if isinstance(value, type) else None
    if wrapped is not None:
        value = wrapped
    if isinstance(value, (FunctionType, type)):
        if id(value) in seen or depth > 50:
            h.update(b"seen")
            return
        seen.add(id(value))
        if not _is_users(value.__module__):
            h.update(f"{value.__module__}.{value.__qualname__}".encode())
        elif isinstance(value, type):
            _add_class(h, value, seen, depth)
        else:
            _add_function(h, value, seen, depth)
    elif isinstance(value, MethodType):
        _add(h, value.__func__, seen, depth + 1)
        _add(h, value.__self__, seen, depth + 1)
    elif isinstance(value, (staticmethod, classmethod)):
        _add(h, value.__func__, seen, depth + 1)
    elif isinstance(value, property):
        for part in (value.fget, value.fset):
            _add(h, part, seen, depth + 1)
    elif isinstance(value, ModuleType):
        h.update(f"module {value.__name__}".encode())
    elif isinstance(value, BuiltinFunctionType):
        h.update(f"builtin {value.__module__}.{value.__qualname__}".encode())
    elif hasattr(value, "func") and hasattr(value, "root_args"):  # a node
        _add(h, value.func, seen, depth + 1)
    else:
        h.update(_value_digest(value))


def _value_digest(value: Any) -> bytes:
    from houndstooth import _core

    try:
        return _core.digest(value)
    except Exception:
        return f"{type(value).__module__}.{type(value).__qualname__}".encode()


def key_of(value: Any) -> Any:
    """What stands for an object of an unknown class in a key: plain containers of what makes it equal to another.

    In this order: its ``__cache_key__()``, the fields of a dataclass, the code of a function or class, a set's
    elements, its attributes, its pickled form.

    Raises
    ------
    TypeError
        It has none of these.
    """
    kind = type(value)
    name = f"{kind.__module__}.{kind.__qualname__}"
    given = getattr(value, "__cache_key__", None)
    if given is not None and not isinstance(value, type):
        return [name, given()]
    if isinstance(value, (FunctionType, type, MethodType)):
        return ["code", class_hash(value) if isinstance(value, type) else code_hash(value)]
    if isinstance(value, BuiltinFunctionType):
        return ["builtin", value.__module__, value.__qualname__]
    if name == "houndstooth._core.Class":
        return ["class", value.name, value.version]
    if isinstance(value, (set, frozenset)):
        return [name, sorted(_hex(v) for v in value)]
    if hasattr(value, "__dataclass_fields__"):
        return [name, {f: getattr(value, f) for f in value.__dataclass_fields__}]
    if isinstance(value, (str, int, float, tuple, list, dict)):
        base = next(b for b in (str, int, float, tuple, list, dict) if isinstance(value, b))
        return [name, base(value) if base is not str else str.__str__(value)]
    return [name, _state_of(value)]


def _hex(value: Any) -> str:
    from houndstooth import _core

    return _core.digest(value).hex()


def _state_of(value: Any) -> Any:
    state = getattr(value, "__getstate__", None)
    attributes = getattr(value, "__dict__", None)
    if attributes and type(value).__reduce__ is object.__reduce__:
        own = state() if state is not None and type(value).__getstate__ is not object.__getstate__ else attributes
        return dict(own) if isinstance(own, dict) else own
    import pickle

    try:
        return pickle.dumps(value, protocol=5)
    except Exception as error:
        raise TypeError(f"a {type(value).__qualname__} has no digest: give it a __cache_key__ method") from error
