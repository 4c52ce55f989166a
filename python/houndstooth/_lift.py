"""Comprehensions of calls become one batch: ``[encoder.encode(t) for t in texts]`` as ``encoder.encode.map(texts)``.

A comprehension is lifted if it has one loop and its element is one call of ``name.method`` whose first argument is the
loop variable, or something read from it by index or attribute, and whose other arguments do not use it. The rewritten
form asks at run time whether ``name`` is an instance whose method has a batch form, else the original one runs:

    encoder.encode.map(texts, is_query=q) if __ht_gathers__(encoder, "encode") else [encoder.encode(t, is_query=q) ...]

The source is believed only if it compiles to the code that the function has; whatever goes wrong before that leaves the
function as it is.
"""

from __future__ import annotations

import sys
from types import CodeType, FunctionType
from typing import Any

_GATE = "__ht_gathers__"
_FUTURES = 0x1FE0000  # the flags of `from __future__ import`, which the compiler is told again
_cells: dict[str, Any] = {}


def lift(function: Any) -> tuple[Any, list[str]]:
    """The function with its liftable comprehensions rewritten, and a line on each; itself where there is none.

    Parameters
    ----------
    function : callable
        Looked at only if it is a plain function.

    Returns
    -------
    function, lines : callable, list of str
        Name, defaults, closure, globals and line numbers are those of the original, which is its ``__wrapped__``.
    """
    if type(function) is not FunctionType or not _may_lift(function.__code__):
        return function, []
    try:
        return _lifted(function)
    except Exception:  # no source, or one that is not the function's
        return function, []


def _may_lift(code: CodeType) -> bool:
    """Whether there is a comprehension of a call at all: reading source costs more than making a node."""
    if code.co_name == "<lambda>" or code.co_flags & 0x2A0:  # generators, coroutines
        return False
    if sys.version_info >= (3, 12):  # comprehensions are part of the code around them
        return bool(code.co_names) and _append_opcode() in code.co_code[::2]
    return any(isinstance(c, CodeType) and c.co_name == "<listcomp>" and c.co_names for c in code.co_consts)


def _append_opcode() -> int:
    found = _cells.get("append")
    if found is None:
        from opcode import opmap

        found = _cells["append"] = opmap["LIST_APPEND"]
    return found


def _lifted(function: FunctionType) -> tuple[Any, list[str]]:
    import ast

    code = function.__code__
    tree = _tree_of(function)
    if not _same(_compiled(tree, code, ()), code):
        return function, []
    lines: list[str] = []
    body = ast.Module(tree.body, [])  # its list is the definition's
    for node in ast.walk(body):
        for field, value in ast.iter_fields(node):
            if isinstance(value, ast.ListComp):
                setattr(node, field, _rewritten(value, function, lines))
            elif isinstance(value, list):
                value[:] = [_rewritten(v, function, lines) if isinstance(v, ast.ListComp) else v for v in value]
    if not lines:
        return function, []
    return _function_of(_compiled(tree, code, (_GATE,)), function), lines


# ---- source ----


def _tree_of(function: FunctionType) -> Any:
    """The function's definition without its decorators, at its lines."""
    import ast
    import inspect
    import textwrap

    source, first = inspect.getsourcelines(function)
    tree = ast.parse(textwrap.dedent("".join(source)))
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef) or definition.name != function.__name__:
        raise ValueError("another definition")
    definition.decorator_list = []
    ast.increment_lineno(definition, max(first, 1) - 1)
    return definition


def _compiled(definition: Any, code: CodeType, more: tuple[str, ...]) -> CodeType:
    """The code of a definition that has the free variables of `code` and `more`."""
    import ast

    names = [ast.arg(name) for name in (*code.co_freevars, *more)]
    none = ast.arguments(posonlyargs=[], args=names, kwonlyargs=[], kw_defaults=[], defaults=[])
    around = ast.FunctionDef("around", none, [definition], [])
    if sys.version_info >= (3, 12):
        around.type_params = []
    module = ast.Module([around], [])
    ast.fix_missing_locations(module)
    made = compile(module, code.co_filename, "exec", code.co_flags & _FUTURES, dont_inherit=True)
    for name in ("around", definition.name):
        made = next(c for c in made.co_consts if isinstance(c, CodeType) and c.co_name == name)
    return made


def _same(made: CodeType, code: CodeType) -> bool:
    """Whether they do the same, names and lines included."""
    mine = (made.co_code, made.co_names, made.co_varnames, made.co_freevars, made.co_cellvars, len(made.co_consts))
    if mine != (code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, len(code.co_consts)):
        return False
    if list(made.co_lines())[-1] != list(code.co_lines())[-1]:
        return False
    for a, b in zip(made.co_consts, code.co_consts, strict=True):
        if isinstance(a, CodeType) and isinstance(b, CodeType):
            if not _same(a, b):
                return False
        elif type(a) is not type(b) or a != b:
            return False
    return True


def _function_of(code: CodeType, function: FunctionType) -> FunctionType:
    from functools import update_wrapper
    from types import CellType

    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    cells[_GATE] = CellType(gathers)
    code = code.replace(co_qualname=function.__code__.co_qualname, co_firstlineno=function.__code__.co_firstlineno)
    closure = tuple(cells[name] for name in code.co_freevars)
    made = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, closure)
    made.__kwdefaults__ = function.__kwdefaults__
    return update_wrapper(made, function)


# ---- comprehensions ----


def gathers(value: Any, name: str) -> bool:
    """Whether a value is an instance whose method of that name has a batch form."""
    from houndstooth import _core

    return isinstance(value, _core.Instance) and getattr(getattr(type(value), name, None), "over", 0) != 0


def _never(name: str, function: FunctionType) -> bool:
    """Whether a global or built-in name stands for something that is no instance: a module, a class, a function."""
    import builtins

    code = function.__code__
    if name in code.co_varnames or name in code.co_cellvars or name in code.co_freevars:
        return False
    found = function.__globals__.get(name, getattr(builtins, name, None))
    return isinstance(found, (type(builtins), type, FunctionType, str, int, float, list, dict))


def _rewritten(made: Any, function: FunctionType, lines: list[str]) -> Any:
    """What stands in the place of a comprehension; itself where it cannot be lifted."""
    import ast

    found = _parts(made)
    if found is None or _never(made.elt.func.value.id, function):
        return made
    rows, rest, keywords = found
    call = made.elt
    owner, method = call.func.value, call.func.attr
    gate = ast.Call(ast.Name(_GATE, ast.Load()), [ast.Name(owner.id, ast.Load()), ast.Constant(method)], [])
    batch = ast.Call(ast.Attribute(call.func, "map", ast.Load()), [rows, *rest], keywords)
    lifted = ast.IfExp(gate, batch, made)
    for part in (gate, batch, lifted):
        ast.copy_location(part, made)
    ast.fix_missing_locations(lifted)
    lines.append(f"{ast.unparse(made)} -> one batch (line {made.lineno})")
    return lifted


def _parts(made: Any) -> tuple[Any, list[Any], list[Any]] | None:
    """(rows, further arguments, keywords) of a comprehension that can be lifted."""
    import ast

    call, loop = made.elt, made.generators[0]
    if len(made.generators) != 1 or loop.is_async or not isinstance(call, ast.Call) or not call.args:
        return None
    bound = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
    if not isinstance(call.func, ast.Attribute) or not isinstance(call.func.value, ast.Name):
        return None
    first, rest = call.args[0], call.args[1:]
    others = [*rest, *(k.value for k in call.keywords)]
    plain = all(_is_plain(e) for e in (first, *others, *loop.ifs)) and _is_target(loop.target)
    if not plain or any(k.arg is None for k in call.keywords) or call.func.value.id in bound:
        return None
    if any(_names(e) & bound for e in others) or not _names(first) & bound:
        return None
    if isinstance(first, ast.Name) and isinstance(loop.target, ast.Name) and not loop.ifs:
        return loop.iter, rest, call.keywords
    rows = ast.copy_location(ast.ListComp(first, made.generators), made)
    return rows, rest, call.keywords


def _names(expression: Any) -> set[str]:
    import ast

    return {n.id for n in ast.walk(expression) if isinstance(n, ast.Name)}


def _is_target(target: Any) -> bool:
    import ast

    return isinstance(target, ast.Name) or (
        isinstance(target, (ast.Tuple, ast.List)) and all(isinstance(e, ast.Name) for e in target.elts)
    )


def _is_plain(expression: Any) -> bool:
    """Whether it may be evaluated another number of times, or earlier: names, constants, what is read from them."""
    import ast

    kinds = (ast.Name, ast.Constant, ast.Attribute, ast.Subscript, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Tuple)
    small = (ast.expr_context, ast.cmpop, ast.boolop, ast.unaryop, ast.Slice)
    return all(isinstance(n, (*kinds, *small)) for n in ast.walk(expression))
