"""A pipeline as a script that does its work with Daft alone: what `DaftEngine.generate_code` gives.

The script holds the sources of the nodes' functions and of all that they name in the user's own modules, without our
decorators. Nodes that run once are called; a map is a frame with a row for each item, a map inside of one a loop.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import keyword
import re
import textwrap
from types import ModuleType
from typing import Any

from houndstooth import _core
from houndstooth._digest import _is_users
from houndstooth.node import DualNode, Node
from houndstooth.pipeline import Pipeline, PipelineNode

_HEAD = '''"""The pipeline {name!r} with Daft alone, written by houndstooth: `python FILE`, or import it and call `run`.

Caches, retries, callbacks and batches that only houndstooth makes are left out.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools

import daft
from daft import DataType, Series, col
'''

_TOOLS = '''

# ---- maps as frames ----


class Box:
    """A value that Daft leaves as it is."""

    def __init__(self, value):
        self.value = value


def rows(product, **columns):
    """A frame of the items of these lists, element by element or in every combination."""
    lists = [list(column) for column in columns.values()]
    items = list(itertools.product(*lists) if product else zip(*lists, strict=True))
    data = {name: [Box(item[i]) for item in items] for i, name in enumerate(columns)}
    return daft.from_pydict({"at": list(range(len(items))), **data})


def step(frame, function, inputs, outputs, shared, batch=None):
    """Columns of what the function gives for each row; `batch` gives it for many rows at once."""
    varying = [name for name in inputs if name in frame.column_names]
    same = {name: shared[name] for name in inputs if name not in varying and name in shared}

    async def call_async(at, *boxes):
        return Box(await function(**same, **{name: box.value for name, box in zip(varying, boxes)}))

    def call(at, *boxes):
        return Box(function(**same, **{name: box.value for name, box in zip(varying, boxes)}))

    def call_batch(at, *columns):
        lists = [Series.from_pylist([box.value for box in column.to_pylist()]) for column in columns]
        made = batch(**same, **dict(zip(varying, lists)))
        made = [m.to_pylist() if hasattr(m, "to_pylist") else list(m) for m in (made if len(outputs) > 1 else (made,))]
        return [Box(row if len(outputs) > 1 else row[0]) for row in zip(*made, strict=True)]

    if batch is not None and varying:
        made = daft.func.batch(return_dtype=DataType.python())(call_batch)
    else:
        made = daft.func(return_dtype=DataType.python())(call_async if inspect.iscoroutinefunction(function) else call)
    frame = frame.with_column("made", made(col("at"), *map(col, varying)))
    for i, name in enumerate(outputs):

        def pick(box, i=i):
            return Box(box.value[i]) if len(outputs) > 1 else box

        frame = frame.with_column(name, daft.func(return_dtype=DataType.python())(pick)(col("made")))
    return frame


def lists(frame, outputs):
    """The columns as lists, in the order of the items."""
    columns = frame.to_pydict()
    order = sorted(range(len(columns["at"])), key=columns["at"].__getitem__)
    return tuple([columns[name][i].value for i in order] for name in outputs)


def once(function, **inputs):
    """What the function gives, awaited if need be."""
    made = function(**inputs)
    return asyncio.run(made) if inspect.isawaitable(made) else made


def restored(kind, state):
    """An object as it was."""
    made = kind.__new__(kind)
    made.__dict__.update(state)
    return made
'''

_RESERVED = {"Box", "rows", "step", "lists", "once", "restored", "run", "run_map", "INPUTS"}
_FROM_DAFT = {"Series": "Series", "DataType": "DataType", "col": "col"}
_ALREADY = {"asyncio", "inspect", "itertools", "daft", *_FROM_DAFT}


def generate(pipeline: Pipeline, inputs: dict[str, Any] | None = None, mode: str = "run", map_over: Any = None) -> str:
    """The script's text.

    Raises
    ------
    ValueError
        A function has no source (a lambda, one typed into a shell), or names something that cannot be written.
    """
    if mode not in ("run", "map"):
        raise ValueError(f"mode is 'run' or 'map', not {mode!r}")
    script = _Script(pipeline)
    asked = pipeline._asked(None) or [o for n in pipeline.graph.execution_order for o in n.outputs]
    script.pipeline(pipeline, "run", asked, inside=mode == "map", is_top=True)
    tail = ""
    if inputs is not None:
        given = "".join(f"    {name!r}: {script.expression(value, name)},\n" for name, value in inputs.items())
        call = "run(**INPUTS)"
        tail = f"\n\nINPUTS = {{\n{given}}}\n"
        if mode == "map":
            over = [map_over] if isinstance(map_over, str) else list(map_over or ())
            over = over or [n for n, v in inputs.items() if isinstance(v, (list, tuple))]
            tail += script.frame_of(pipeline, over, asked)
            call = "run_map(**INPUTS)"
        tail += f'\nif __name__ == "__main__":\n    print({call})\n'
    head = _HEAD.format(name=pipeline.name or "pipeline")
    imports = "".join(f"{line}\n" for line in sorted(script.imports))
    sources = "".join(f"\n\n{text}\n" for text in script.sources)
    return head + imports + sources + _TOOLS + "".join(f"\n\n{text}\n" for text in script.functions) + tail


class _Script:
    """What the script is made of, and under which names."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.variables = {"items", "item", "frame", "shared", "inputs", *_variables_of(pipeline)}
        self.imports: set[str] = set()
        self.sources: list[str] = []
        self.functions: list[str] = []
        self.named: dict[str, Any] = {}  # the script's globals: name -> what it stands for
        self.made: dict[tuple[int, bool], str] = {}

    # ---- names ----

    def claim(self, name: str, value: Any) -> bool:
        """Whether the name is new; ValueError where it stands for something else."""
        if name in self.named:
            if self.named[name] is value or self.named[name] == value:
                return False
            raise ValueError(f"two things are called {name!r}; a script can hold one of them: rename one")
        if name in _RESERVED or name in _ALREADY:
            raise ValueError(f"{name!r} has another meaning in the script: rename it")
        self.named[name] = value
        return True

    def fresh(self, name: str) -> str:
        base = re.sub(r"\W", "_", name) or "pipeline"
        base = f"_{base}" if base[0].isdigit() or keyword.iskeyword(base) else base
        made, n = base, 2
        while made in self.named or made in _RESERVED or made in _ALREADY or made in self.variables:
            made, n = f"{base}_{n}", n + 1
        self.named[made] = object()
        return made

    # ---- the user's sources ----

    def definition(self, made: Any) -> str:
        """Writes a function or class, if that was not done, and gives its name."""
        made = getattr(made, "__wrapped__", made) if isinstance(made, type) else made
        made = made.func if isinstance(made, Node) else made
        name = getattr(made, "__name__", None)
        if name is None or name == "<lambda>":
            raise ValueError(f"{made!r} has no source that stands alone: give it a name with def")
        if not self.claim(name, made):
            return name
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(made))).body[0]
        except (OSError, TypeError, SyntaxError, IndentationError) as error:
            raise ValueError(f"the source of {name!r} is not to be had: {error}") from None
        scope = _scope_of(made)
        for part in ast.walk(tree):
            if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                part.decorator_list = [d for d in part.decorator_list if not _is_ours(d, scope)]
        for used in _names_in(tree):
            if used in scope and used != name:
                self.reference(used, scope[used], name)
        self.sources.append(ast.unparse(tree))
        return name

    def reference(self, name: str, value: Any, by: str) -> None:
        """Makes a global that a source names."""
        if _FROM_DAFT.get(name) and (getattr(value, "__module__", None) or "").startswith("houndstooth"):
            return
        if isinstance(value, ModuleType):
            if value.__name__ == "houndstooth":
                raise ValueError(f"{by!r} needs the module houndstooth itself, which a script with Daft alone has not")
            if name not in _ALREADY and self.claim(name, value):
                line = f"import {value.__name__}"
                self.imports.add(line if value.__name__ == name else f"{line} as {name}")
            return
        if isinstance(value, Node) or inspect.isfunction(value) or inspect.isclass(value):
            inner = value.func if isinstance(value, Node) else getattr(value, "__wrapped__", value)
            if _is_users(getattr(inner, "__module__", None)):
                if self.definition(inner) != name:
                    raise ValueError(f"{by!r} names {inner.__name__!r} as {name!r}: a script has one name for it")
                return
        module = getattr(value, "__module__", None)
        if callable(value) and module and not _is_users(module) and getattr(value, "__qualname__", "") == name:
            if module != "builtins" and self.claim(name, value):
                self.imports.add(f"from {module} import {name}")
            return
        if self.claim(name, value):
            self.sources.append(f"{name} = {self.expression(value, name)}")

    def expression(self, value: Any, name: str) -> str:
        """Python that makes the value."""
        if isinstance(value, _core.Instance):
            _, args, kwargs = value._spec
            parts = [self.expression(a, name) for a in args]
            parts += [f"{k}={self.expression(v, name)}" for k, v in kwargs.items()]
            return f"{self.kind(type(value))}({', '.join(parts)})"
        if type(value) in (list, tuple):
            inner = ", ".join(self.expression(v, name) for v in value)
            return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' if len(value) == 1 else ''})"
        if type(value) is dict:
            pairs = (f"{self.expression(k, name)}: {self.expression(v, name)}" for k, v in value.items())
            return f"{{{', '.join(pairs)}}}"
        if value is None or type(value) in (bool, int, str, bytes, complex):
            return repr(value)
        if type(value) is float:
            return repr(value) if value - value == 0 else f"float({str(value)!r})"
        if type(value) is range:
            return repr(value)
        if isinstance(value, Node) or inspect.isfunction(value) or inspect.isclass(value):
            return self.definition(value)
        if hasattr(value, "__dict__") and _is_users(type(value).__module__):
            return f"restored({self.definition(type(value))}, {self.expression(vars(value), name)})"
        raise ValueError(f"{name!r} is a {type(value).__name__}, which cannot be written into a script")

    def kind(self, kind: type) -> str:
        """The name of a decorated class; one of ours is imported."""
        kind = getattr(kind, "__wrapped__", kind)
        if kind.__module__.startswith("houndstooth"):
            self.imports.add(f"from houndstooth import {kind.__name__}")
            return kind.__name__
        return self.definition(kind)

    def constant(self, value: Any, name: str) -> str:
        """A global of the script that holds the value."""
        made = self.fresh(name)
        self.functions.append(f"{made} = {self.expression(value, name)}")
        return made

    # ---- pipelines ----

    def callee(self, made: Any) -> str:
        """What the script calls for a node."""
        if isinstance(made.func, _core.BoundMethod):
            instance = self.constant(made.func.__self__, made.name)
            return f"{instance}.{made.func.__func__.__name__}"
        name = self.definition(made.func)
        if name not in self.variables:
            return name
        alias = self.fresh(f"make_{name}")  # where a variable has the function's name
        self.functions.append(f"{alias} = {name}")
        return alias

    def pipeline(self, pipeline: Pipeline, name: str, outputs: list[str], inside: bool, is_top: bool = False) -> None:
        """A function that runs the nodes in order. inside: in a frame's row, where a map is a loop."""
        bound = {n: self.constant(v, f"bound_{n}") for n, v in pipeline._bound.items()}
        lines, params = [], []
        for root in sorted(pipeline.root_args, key=lambda n: n not in pipeline.unfulfilled_args):
            if root in pipeline.unfulfilled_args:
                params.append(root)
            elif root in bound:
                params.append(f"{root}={bound[root]}")
            else:
                params.append(f"{root}={self.expression(_default_of(pipeline, root), root)}")
        for made in pipeline.graph.execution_order:
            given = ", ".join(f"{n}={n}" for n in made.root_args)
            targets = ", ".join(made.outputs)
            if isinstance(made, PipelineNode):
                function = self.nested(made, inside)
                lines.append(f"{targets}{',' if len(made.outputs) == 1 else ''} = {function}({given})")
            else:
                lines.append(f"{targets} = once({self.callee(made)}{', ' if given else ''}{given})")
        shown = ", ".join(f"{o!r}: {o}" for o in outputs) if is_top else ", ".join(outputs)
        lines.append(f"return {{{shown}}}" if is_top else f"return ({shown},)")
        told = f'"""{pipeline.name or "pipeline"}: its outputs by name."""' if is_top else ""
        body = textwrap.indent("\n".join([told, *lines] if told else lines), "    ")
        self.functions.append(f"def {name}({', '.join(params)}):\n{body}")

    def nested(self, made: PipelineNode, inside: bool) -> str:
        """The function of a nested pipeline: outer inputs by name to a tuple of its outputs."""
        known = self.made.get((id(made), inside))
        if known:
            return known
        name = self.made[id(made), inside] = self.fresh(made.name)
        inner = {outer: made.input_mapping.get(outer, outer) for outer in made.root_args}
        outputs = [{o: i for i, o in made.output_mapping.items()}.get(o, o) for o in made.outputs]
        params = ", ".join(made.root_args)
        if made.map_over and not inside:
            over = {outer: inner[outer] for outer in made.map_over}
            body = self.frame_steps(made.pipeline, over, made.map_mode == "product", outputs, inner)
            body += f"return lists(frame, {outputs!r})"
        else:
            plain = self.fresh(f"{made.name}_row" if made.map_over else f"{made.name}_nodes")
            self.pipeline(made.pipeline, plain, outputs, inside)
            given = ", ".join(f"{i}={o}" for o, i in inner.items())
            body = f"return {plain}({given})"
            if made.map_over:
                one = ", ".join(f"{i}={'_' + o if o in made.map_over else o}" for o, i in inner.items())
                each, lists = ", ".join("_" + o for o in made.map_over), ", ".join(made.map_over)
                how = f"itertools.product({lists})" if made.map_mode == "product" else f"zip({lists}, strict=True)"
                body = f"items = [{plain}({one}) for {each}{',' if len(made.map_over) == 1 else ''} in {how}]\n"
                body += f"return tuple([item[i] for item in items] for i in range({len(outputs)}))"
        self.functions.append(f"def {name}({params}):\n{textwrap.indent(body, '    ')}")
        return name

    def frame_steps(
        self, pipeline: Pipeline, over: dict[str, str], product: bool, outputs: list[str], inner: dict[str, str]
    ) -> str:
        """Lines that make a frame of the items and a column of each node. over, inner: outer name -> inner name."""
        bound = {n: self.constant(v, f"bound_{n}") for n, v in pipeline._bound.items()}
        columns = "".join(f", {i}={o}" for o, i in over.items())
        shared = {i: o for o, i in inner.items() if o not in over}
        shared |= {n: v for n, v in bound.items() if n not in inner.values()}
        lines = [f"frame = rows({product}{columns})"]
        lines.append(f"shared = {{{', '.join(f'{n!r}: {v}' for n, v in shared.items())}}}")
        for made in pipeline.graph.execution_order:
            function = self.nested(made, True) if isinstance(made, PipelineNode) else self.callee(made)
            batch = f", {self.definition(made.batch)}" if isinstance(made, DualNode) else ""
            if isinstance(made, PipelineNode) and len(made.outputs) == 1:
                alone = self.fresh(f"{function}_alone")
                self.functions.append(f"def {alone}(**inputs):\n    return {function}(**inputs)[0]")
                function = alone
            names, made_of = list(made.outputs), list(made.root_args)
            lines.append(f"frame = step(frame, {function}, {made_of!r}, {names!r}, shared{batch})")
        return "\n".join(lines) + "\n"

    def frame_of(self, pipeline: Pipeline, over: list[str], outputs: list[str]) -> str:
        """`run_map`: the whole pipeline over its items."""
        inner = {n: n for n in pipeline.root_args}
        needed = [n for n in pipeline.root_args if n in pipeline.unfulfilled_args]
        other = [
            f"{n}={self.expression(pipeline._bound[n] if n in pipeline._bound else _default_of(pipeline, n), n)}"
            for n in pipeline.root_args
            if n not in needed
        ]
        before = len(self.functions)
        body = self.frame_steps(pipeline, {n: n for n in over}, False, outputs, inner)
        made = "".join(f"\n\n{text}\n" for text in self.functions[before:])
        del self.functions[before:]
        body += f"columns = lists(frame, {outputs!r})\nreturn [dict(zip({outputs!r}, row)) for row in zip(*columns)]"
        return f"{made}\n\ndef run_map({', '.join([*needed, *other])}):\n{textwrap.indent(body, '    ')}\n"


def _variables_of(pipeline: Pipeline) -> set[str]:
    """Names of inputs and outputs, those of nested pipelines among them."""
    names = {*pipeline.root_args, *(o for made in pipeline.nodes for o in made.outputs)}
    for made in pipeline._nested:
        names |= _variables_of(made.pipeline)
    return names


def _default_of(pipeline: Pipeline, name: str) -> Any:
    """The default of an input, from the node that has it."""
    for made in pipeline.nodes:
        if name not in made.root_args:
            continue
        if isinstance(made, PipelineNode):
            inner = made.input_mapping.get(name, name)
            if inner not in made.pipeline.unfulfilled_args:
                return made.pipeline._bound.get(inner, _default_of(made.pipeline, inner))
        elif name in made.defaults:
            return made.defaults[name]
    return None


def _scope_of(made: Any) -> dict[str, Any]:
    """Globals that a function or a class's methods see, and what a function closes over."""
    if inspect.isclass(made):
        scope: dict[str, Any] = dict(vars(inspect.getmodule(made) or builtins))
        for value in vars(made).values():
            if inspect.isfunction(value):
                scope |= _scope_of(value)
        return scope
    closure = dict(zip(made.__code__.co_freevars, made.__closure__ or (), strict=False))
    return {**made.__globals__, **{name: cell.cell_contents for name, cell in closure.items()}}


def _names_in(tree: ast.AST) -> list[str]:
    """Names that are looked up when the code runs: none of annotations, which stay text."""
    found: dict[str, None] = {}

    class Names(ast.NodeVisitor):
        def visit_Name(self, node: ast.Name) -> None:
            if not hasattr(builtins, node.id):
                found[node.id] = None

        def visit_arg(self, node: ast.arg) -> None:
            pass

        def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
            if node.value:
                self.visit(node.value)

        def visit_FunctionDef(self, node: Any) -> None:
            for part in (*node.decorator_list, *node.body, node.args):
                self.visit(part)

        visit_AsyncFunctionDef = visit_FunctionDef

    Names().visit(tree)
    return list(found)


def _is_ours(decorator: ast.expr, scope: dict[str, Any]) -> bool:
    """Whether a decorator is one of houndstooth's, under whatever name."""
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    path = []
    while isinstance(target, ast.Attribute):
        path.append(target.attr)
        target = target.value
    if not isinstance(target, ast.Name):
        return False
    found = scope.get(target.id)
    owner = found.__name__ if isinstance(found, ModuleType) else getattr(type(found), "__module__", "")
    return owner.startswith("houndstooth") or (getattr(found, "__module__", None) or "").startswith("houndstooth")
