"""What is told before anything runs: types that do not fit, names that hide others, models that load again and again.

Each warning stands at the definition of the user's node. What is not certain is not told.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from types import FunctionType, UnionType
from typing import Any

_LOADERS = ("_ensure_loaded", "ensure_loaded", "_load", "load", "_load_model", "load_model")
_LOADING = ("from_pretrained", "load_model", "SentenceTransformer", "CrossEncoder", "InferenceSession")
_UNKNOWN = object()


def check(pipeline: Any, strict: bool) -> None:
    """Looks at a pipeline that has just been wired.

    Raises
    ------
    TypeError
        With `strict`: an output is annotated with a type that does not fit what its reader is annotated with.
    """
    if any(getattr(n.func, "__annotations__", None) for n in pipeline.nodes if hasattr(n, "func")) or pipeline._nested:
        for maker, output, reader, name in _edges(pipeline):
            _check_edge(maker, output, reader, name, strict)
    for nested in pipeline._nested:
        _check_shadowed(pipeline, nested)
        if nested.map_over:
            check_made(nested.pipeline)


def _warn(node: Any, text: str) -> None:
    """At the node's definition; at the caller's line where it has none."""
    code = _code_of(node)
    if code is None:
        from houndstooth.pipeline import _outside

        warnings.warn(text, UserWarning, stacklevel=_outside())
    else:
        told = getattr(getattr(node, "func", None), "__globals__", {}).setdefault("__warningregistry__", {})
        warnings.warn_explicit(text, UserWarning, code.co_filename, code.co_firstlineno, _module_of(node), told)


def _code_of(node: Any) -> Any:
    if hasattr(node, "pipeline"):
        return next((c for c in map(_code_of, node.pipeline.nodes) if c is not None), None)
    func = getattr(node.func, "__func__", node.func)
    return getattr(func, "__code__", None)


def _module_of(node: Any) -> str:
    return getattr(getattr(node, "func", None), "__module__", None) or "houndstooth"


# ---- types ----


def _edges(pipeline: Any) -> Iterator[tuple[Any, str, Any, str]]:
    """(maker, output, reader, its parameter), in the order of the nodes."""
    maker = {output: n for n in pipeline.nodes for output in n.outputs}
    for reader in pipeline.nodes:
        for name in reader.root_args:
            if name in maker and maker[name] is not reader:
                yield maker[name], name, reader, name


def _check_edge(maker: Any, output: str, reader: Any, name: str, strict: bool) -> None:
    given, wanted = _given_by(maker, output), _wanted_by(reader, name)
    if given is _UNKNOWN or wanted is _UNKNOWN or fits(given, wanted):
        return
    text = f"'{reader.name}' takes {name}: {_text(wanted)}, but '{maker.name}' gives {_text(given)}"
    if strict:
        raise TypeError(text)
    _warn(reader, text)


def _note(func: Any, name: str) -> Any:
    """An annotation as an object; _UNKNOWN where there is none, or none that can be evaluated."""
    func = getattr(func, "__func__", func)
    try:
        note = func.__annotations__[name]
        if isinstance(note, str):
            scope = getattr(func, "__globals__", {})
            cells = zip(func.__code__.co_freevars, func.__closure__ or (), strict=False)
            return eval(note, scope, {n: c.cell_contents for n, c in cells})
        return note
    except Exception:  # names that exist for type checkers only
        return _UNKNOWN


def _given_by(node: Any, output: str) -> Any:
    """The type of an output, as the node around it sees it."""
    if hasattr(node, "pipeline"):
        inner = {outer: i for i, outer in node.output_mapping.items()}.get(output, output)
        made = next((n for n in node.pipeline.nodes if inner in n.outputs), None)
        note = _given_by(made, inner) if made is not None else _UNKNOWN
        return list[note] if node.map_over and note is not _UNKNOWN else note
    note = _note(node.func, "return")
    if len(node.outputs) == 1 or note is _UNKNOWN:
        return note
    from typing import get_args, get_origin

    parts = get_args(note)
    if get_origin(note) is not tuple or len(parts) != len(node.outputs) or Ellipsis in parts:
        return _UNKNOWN
    return parts[node.outputs.index(output)]


def _wanted_by(node: Any, name: str) -> Any:
    if hasattr(node, "pipeline"):
        inner = node.input_mapping.get(name, name)
        reader = next((n for n in node.pipeline.nodes if inner in n.root_args), None)
        note = _wanted_by(reader, inner) if reader is not None else _UNKNOWN
        return _Each(note) if name in node.map_over and note is not _UNKNOWN else note
    return _note(node.func, name)


class _Each:
    """Anything whose elements are of a type: what a map takes."""

    def __init__(self, note: Any) -> None:
        self.note = note


def _text(note: Any) -> str:
    if isinstance(note, _Each):
        return f"many of {_text(note.note)}"
    return note.__name__ if isinstance(note, type) and not getattr(note, "__args__", None) else str(note)


def fits(given: Any, wanted: Any) -> bool:
    """Whether a value of one annotation may go where another is wanted; False only where it certainly may not."""
    if given is wanted:
        return True
    from typing import get_args, get_origin

    if isinstance(wanted, _Each):
        parts = get_args(given)
        return len(parts) != 1 or get_origin(given) not in (list, set, frozenset) or fits(parts[0], wanted.note)
    given, wanted = _plain(given), _plain(wanted)
    if _is_open(given) or _is_open(wanted):
        return True
    for side, other in ((given, False), (wanted, True)):
        if _is_union(side):
            return any(fits(a, wanted) if not other else fits(given, a) for a in get_args(side))
    outer, inner = get_origin(wanted) or wanted, get_origin(given) or given
    if not isinstance(outer, type) or not isinstance(inner, type):
        return True
    if not _classes_fit(inner, outer):
        return False
    mine, theirs = get_args(given), get_args(wanted)
    if inner is not outer or inner not in (list, set, frozenset, dict) or len(mine) != len(theirs):
        return True
    return all(fits(a, b) for a, b in zip(mine, theirs, strict=True))


def _plain(note: Any) -> Any:
    """Without Annotated and NewType; None as its class; a literal as the class of its values."""
    from typing import Annotated, Literal, get_args, get_origin

    while True:
        if note is None:
            return type(None)
        if get_origin(note) is Annotated:
            note = get_args(note)[0]
        elif hasattr(note, "__supertype__"):
            note = note.__supertype__
        elif get_origin(note) is Literal:
            kinds = {type(v) for v in get_args(note)}
            return kinds.pop() if len(kinds) == 1 else Any
        else:
            return note


def _is_union(note: Any) -> bool:
    from typing import Union, get_origin

    return isinstance(note, UnionType) or get_origin(note) is Union


def _is_open(note: Any) -> bool:
    """Any, object, type variables, protocols, and columns, which lists become."""
    if note is Any or note is object or type(note).__name__ in ("TypeVar", "ParamSpec", "TypeVarTuple"):
        return True
    return isinstance(note, type) and (getattr(note, "_is_protocol", False) or note.__name__ == "Series")


def _classes_fit(given: type, wanted: type) -> bool:
    numbers = (bool, int, float, complex)
    if given in numbers and wanted in numbers:
        return numbers.index(given) <= numbers.index(wanted)
    try:
        return issubclass(given, wanted) or issubclass(wanted, given)  # the wider one may be the narrower at run time
    except TypeError:
        return True


# ---- names ----


def _check_shadowed(pipeline: Any, nested: Any) -> None:
    """Outer names that a nested pipeline seems to take and does not."""
    outside = {name for n in pipeline.nodes if n is not nested for name in (*n.root_args, *n.outputs)}
    back = {inner: outer for outer, inner in nested.input_mapping.items()}
    for inner in nested.pipeline._bound:
        outer = back.get(inner, inner)
        if outer in outside:
            text = f"'{outer}' is bound inside '{nested.name}', which does not see the '{outer}' around it"
            _warn(_reader(nested.pipeline, inner), text)


def _reader(pipeline: Any, name: str) -> Any:
    takes = (n for n in pipeline.nodes if name in n.root_args or name in getattr(n, "input_mapping", ()))
    return next(takes, pipeline.nodes[0])


# ---- what loads again and again ----


def _is_loader(kind: Any) -> bool:
    """Whether a class is plain, the user's own, and loads something heavy."""
    from houndstooth import _core
    from houndstooth._digest import _is_users

    if not isinstance(kind, type) or issubclass(kind, _core.Instance) or not _is_users(kind.__module__):
        return False
    if any(callable(getattr(kind, name, None)) for name in _LOADERS):
        return True
    code = getattr(kind.__init__, "__code__", None)
    return code is not None and any(name in _LOADING for name in code.co_names)


def check_made(pipeline: Any) -> None:
    """Warns of plain classes that load, which the nodes of a mapped pipeline make: once for each item."""
    for node in pipeline.nodes:
        if hasattr(node, "pipeline"):
            check_made(node.pipeline)
            continue
        func = getattr(node.func, "__func__", node.func)
        if type(func) is not FunctionType:
            continue
        for name in func.__code__.co_names:
            if _is_loader(func.__globals__.get(name)):
                _warn(
                    node,
                    f"'{node.name}' makes a {name}, which loads, for each item: decorate the class with "
                    f"houndstooth.cls, so that it loads once, or make it outside",
                )


def check_inputs(pipeline: Any, inputs: dict[str, Any]) -> None:
    """Warns of plain objects among the inputs that are equal but two, so that each loads."""
    first: dict[type, list[str]] = {}
    for name, value in inputs.items():
        kind = type(value)
        if kind.__module__ in ("builtins", "numpy") or not _is_loader(kind):
            continue
        for other in first.setdefault(kind, []):
            twin = inputs[other]
            if twin is not value and _same_state(twin, value):
                _warn(
                    _reader(pipeline, name),
                    f"'{other}' and '{name}' are two {kind.__qualname__} of the same arguments, which both load: "
                    f"give one object, or decorate the class with houndstooth.cls",
                )
        first[kind].append(name)


def _same_state(a: Any, b: Any) -> bool:
    mine, theirs = getattr(a, "__dict__", None), getattr(b, "__dict__", None)
    if mine is None or theirs is None or mine.keys() != theirs.keys():
        return False
    simple = (str, int, float, bool, type(None), tuple, bytes)
    return all(
        (isinstance(v, simple) and isinstance(theirs[k], simple) and v == theirs[k])
        or (type(v) is type(theirs[k]) and not isinstance(v, simple))
        for k, v in mine.items()
    )
