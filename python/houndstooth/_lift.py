"""Comprehensions of calls become one batch: ``[encoder.encode(t) for t in texts]`` as ``encoder.encode.map(texts)``.

A comprehension is lifted if it has one loop without conditions, and its element is one call of ``name.method`` whose
first argument is the loop variable and whose other arguments do not use it. The rewritten form asks at run time whether
``name`` is an instance whose method has a batch form; else the original comprehension runs. Lines and closures stay.
"""

from __future__ import annotations

import ast
import sys
from types import CodeType, FunctionType
from typing import Any

from houndstooth import _core


def lift(function: Any) -> tuple[Any, list[str]]:
    """The function with its liftable comprehensions rewritten, and a line on each; itself where there is none."""
    if not isinstance(function, FunctionType) or not _may_lift(function.__code__):
        return function, []
    try:
        return _lifted(function)
    except (OSError, SyntaxError, TypeError, ValueError, IndentationError):
        return function, []  # no source at hand, or none that compiles by itself


def _may_lift(code: CodeType) -> bool:
    """Whether there is a comprehension at all: reading source costs more than making a node."""
    if any(isinstance(c, CodeType) and c.co_name == "<listcomp>" for c in code.co_consts):
        return True
    if sys.version_info < (3, 12):
        return False
    import dis  # comprehensions stand in the function itself since 3.12

    return any(i.opname == "LIST_APPEND" for i in dis.get_instructions(code))


def batched(bound: Any) -> bool:
    """Whether a call of it for many values can be one batch: what a lifted comprehension asks."""
    if type(bound) is not _core.BoundMethod:
        return False
    plan = type(bound.__self__).__ht_plans__.get(bound.__func__.name)
    return plan is not None and plan.batch is not None


class _Rewrite(ast.NodeTransformer):
    def __init__(self) -> None:
        self.notes: list[tuple[int, str, str]] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:  # noqa: N802  ast's own name
        return node  # inner functions are not the body

    visit_AsyncFunctionDef = visit_Lambda = visit_ClassDef = visit_FunctionDef  # noqa: N815

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:  # noqa: N802
        call = _liftable(node)
        if call is None:
            return node
        before = ast.unparse(node)
        bound = ast.unparse(call.func)
        mapped = ast.Call(
            ast.Attribute(call.func, "map", ast.Load()), [node.generators[0].iter, *call.args[1:]], call.keywords
        )
        test = ast.Call(ast.Name("__houndstooth_batched__", ast.Load()), [call.func], [])
        made = ast.IfExp(test, mapped, node)
        self.notes.append((node.lineno, before, f"{bound}.map(...)"))
        return ast.fix_missing_locations(ast.copy_location(made, node))


def _liftable(node: ast.ListComp) -> ast.Call | None:
    call, loops = node.elt, node.generators
    if not isinstance(call, ast.Call) or len(loops) != 1 or loops[0].ifs or loops[0].is_async:
        return None
    if not isinstance(loops[0].target, ast.Name) or not isinstance(call.func, ast.Attribute):
        return None
    variable = loops[0].target.id
    first = call.args[0] if call.args else None
    if not isinstance(call.func.value, ast.Name) or not isinstance(first, ast.Name) or first.id != variable:
        return None
    rest = [call.func, *call.args[1:], *(k.value for k in call.keywords)]
    if any(k.arg is None for k in call.keywords) or any(isinstance(a, ast.Starred) for a in call.args):
        return None
    used = {n.id for part in rest for n in ast.walk(part) if isinstance(n, ast.Name)}
    return None if variable in used else call


def _lifted(function: FunctionType) -> tuple[Any, list[str]]:
    import inspect
    import textwrap

    lines, first = inspect.getsourcelines(function)
    tree = ast.parse(textwrap.dedent("".join(lines)))
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef):
        return function, []
    definition.decorator_list = []
    definition.returns = None
    rewrite = _Rewrite()
    definition.body = [rewrite.visit(statement) for statement in definition.body]
    if not rewrite.notes:
        return function, []
    ast.increment_lineno(tree, first - 1)
    made = _compiled(function, definition)
    notes = [f"[line {line + first - 1}] {before} -> {after}: one batch" for line, before, after in rewrite.notes]
    return made, notes


def _compiled(function: FunctionType, definition: ast.FunctionDef) -> FunctionType:
    """The definition as a function with the original's globals, closure and defaults."""
    free = function.__code__.co_freevars
    _plain(definition)
    maker = ast.FunctionDef(
        "__houndstooth_maker__",
        _parameters((*free, "__houndstooth_batched__")),
        [definition],
        [],
        lineno=1,
        col_offset=0,
    )
    if hasattr(ast, "type_param"):
        definition.type_params = maker.type_params = []
    module = ast.fix_missing_locations(ast.Module([maker], []))
    code = next(c for c in compile(module, function.__code__.co_filename, "exec").co_consts if isinstance(c, CodeType))
    inner = next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == definition.name)
    cells = dict(zip(free, function.__closure__ or (), strict=True))
    cells["__houndstooth_batched__"] = _cell(batched)
    closure = tuple(cells[name] for name in inner.co_freevars)
    made = FunctionType(inner, function.__globals__, function.__name__, function.__defaults__, closure)
    made.__kwdefaults__ = function.__kwdefaults__
    made.__annotations__ = function.__annotations__
    made.__qualname__, made.__module__, made.__doc__ = function.__qualname__, function.__module__, function.__doc__
    made.__wrapped__ = function
    return made


def _plain(definition: ast.FunctionDef) -> None:
    """Without defaults and annotations, which the function gets from the original."""
    a = definition.args
    a.defaults = []
    a.kw_defaults = [None] * len(a.kwonlyargs)
    for p in (*a.posonlyargs, *a.args, *a.kwonlyargs):
        p.annotation = None


def _parameters(names: tuple[str, ...]) -> ast.arguments:
    return ast.arguments([], [ast.arg(n) for n in names], None, [], [], None, [])


def _cell(value: Any) -> Any:
    return (lambda: value).__closure__[0]
