#!/usr/bin/env python3
"""Writes docs/api_python.md from the docstrings of the Python package, or with --check tells whether it is up to date.

    PYTHONPATH=build/release/python .venv-python/bin/python scripts/python-api.py [--check]

Signatures come from the sources and stubs, so that every version of Python gives the same; what the extension says of
its classes comes from the extension. A public name or method without a docstring is an error, and so is a name of the
package that stands in no part below.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python/houndstooth"
PAGE = ROOT / "docs/api_python.md"

# What a program reaches as houndstooth.NAME; a dotted name is of that module.
PARTS = {
    "Nodes and pipelines": "node Node DualNode Pipeline PipelineNode Failure",
    "Classes and functions": "cls method method.batch stateful stats func func.batch current_device",
    "Engines": "engines.Engine SequentialEngine SeqEngine ThreadEngine ProcessEngine DaskEngine DaftEngine",
    "Caches": "Cache DiskCache MemoryCache",
    "Callbacks": "PipelineCallback CallbackContext ProgressCallback TelemetryCallback",
    "Frames": "from_pydict from_pylist from_arrow DataFrame col lit _frame.Expression Series DataType",
    "Retrieval": "ColBERTEncoder PLAIDIndex BM25Index BM25IndexImpl ColBERTReranker RRFFusion MinMaxFusion",
    "Measures": "evaluate NDCGEvaluator RecallEvaluator SuccessEvaluator",
    "Collections and files": "Collection read_corpus read_queries read_qrels",
    "Exceptions": "HoundstoothError DependencyError CycleError RetryAfterError Cancelled exceptions.ExecutionError",
    "To look at": "show_config viz.Picture",
}
DECORATORS = {"method": "_Method", "func": "_Decorator"}  # objects that are called; their classes say how
GIVEN = {"DataFrame", "Expression", "Failure", "Picture"}  # made by the package, never by a program


class Source:
    """The definitions of one module or stub by name."""

    def __init__(self, path: Path) -> None:
        self.is_stub = path.suffix == ".pyi"
        self.found: dict[str, ast.stmt] = {}
        self.other_names: dict[str, str] = {}
        for part in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                self.found[part.name] = part
            elif isinstance(part, ast.Assign) and isinstance(part.value, (ast.Name, ast.Attribute)):
                self.other_names[ast.unparse(part.targets[0])] = ast.unparse(part.value)


class Package:
    def __init__(self) -> None:
        self.sources = {p.stem: Source(p) for p in [*sorted(PACKAGE.glob("*.py")), PACKAGE / "_core.pyi"]}
        tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
        self.module_of = {}
        for part in tree.body:
            if isinstance(part, ast.ImportFrom) and part.module and part.module.startswith("houndstooth."):
                for name in part.names:
                    self.module_of[name.asname or name.name] = part.module.split(".")[1]
        assigned = [p for p in tree.body if isinstance(p, ast.Assign) and isinstance(p.targets[0], ast.Name)]
        values = {p.targets[0].id: p.value for p in assigned}
        lazy = ast.literal_eval(values["_LAZY"])
        self.module_of |= lazy | dict.fromkeys(("Node", "DualNode", "node"), "node")
        self.public = {e.value for e in values["__all__"].elts if isinstance(e, ast.Constant)} | set(lazy)

    def find(self, module: str, name: str) -> tuple[str, ast.stmt | None, str]:
        """Module and definition of a name, or what it is another name of."""
        source = self.sources[module]
        if name in source.found:
            return module, source.found[name], ""
        behind = source.other_names[name]
        if "." not in behind:
            return module, None, behind
        return self.find(*behind.split("."))


# ---- docstrings ----

SECTION = re.compile(r"^(Parameters|Attributes|Returns|Raises|Examples)\n-+\n", re.M)


def code_apart(text: str) -> str:
    """Markdown of a text with code in one or two backticks."""
    pieces = re.split(r"(``.+?``|`.+?`)", text, flags=re.S)
    return "".join(f"`{p.strip('`')}`" if i % 2 else p.replace("<", "&lt;") for i, p in enumerate(pieces))


def entries(text: str) -> Iterator[tuple[str, str]]:
    """Head and indented body of each entry of a section."""
    head, body = "", []
    for line in text.splitlines():
        if line and not line.startswith(" "):
            if head:
                yield head, " ".join(body)
            head, body = line, []
        elif line.strip():
            body.append(line.strip())
    if head:
        yield head, " ".join(body)


def markdown(doc: str) -> str:
    """A docstring of numpy's style as Markdown."""
    first, *rest = SECTION.split(inspect.cleandoc(doc))
    made = [code_apart(paragraph.replace("\n", " ")) for paragraph in first.strip().split("\n\n")]
    for title, text in zip(rest[::2], rest[1::2]):
        if title == "Examples":
            made.append("```python\n" + re.sub(r"^(>>>|\.\.\.) ?", "", text.strip(), flags=re.M) + "\n```")
            continue
        lines = []
        for head, body in entries(text):
            name, _, kind = head.partition(" : ")
            told = (f"`{name}`" if "`" not in name else name) + (f" ({code_apart(kind)})" if kind else "")
            lines.append(f"- {told}" + (f": {code_apart(body)}" if body else ""))
        made.append(f"{title}:\n\n" + "\n".join(lines))
    return "\n\n".join(made)


# ---- definitions ----


def signature(name: str, function: ast.FunctionDef | ast.AsyncFunctionDef, skip_self: bool) -> str:
    args = without_first(function.args) if skip_self else function.args
    returns = f" -> {ast.unparse(function.returns)}" if function.returns and function.name != "__init__" else ""
    word = "async " if isinstance(function, ast.AsyncFunctionDef) else ""
    return f"{word}{name}({parameters(args)}){returns}"


def without_first(args: ast.arguments) -> ast.arguments:
    """Parameters without `self`."""
    positional, rest = list(args.posonlyargs), list(args.args)
    (positional or rest).pop(0)
    return ast.arguments(positional, rest, args.vararg, args.kwonlyargs, args.kw_defaults, args.kwarg, args.defaults)


def parameter(arg: ast.arg, default: ast.expr | None = None) -> str:
    note = f": {ast.unparse(arg.annotation)}" if arg.annotation else ""
    equals = " = " if note else "="
    return arg.arg + note + (f"{equals}{ast.unparse(default)}" if default is not None else "")


def parameters(args: ast.arguments) -> str:
    """Parameters as a person writes them: blanks around what an annotated one is by default."""
    by_place = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(by_place) - len(args.defaults)) + args.defaults
    made = [parameter(arg, default) for arg, default in zip(by_place, defaults)]
    if args.posonlyargs:
        made.insert(len(args.posonlyargs), "/")
    if args.vararg:
        made.append("*" + parameter(args.vararg))
    elif args.kwonlyargs:
        made.append("*")
    made += [parameter(arg, default) for arg, default in zip(args.kwonlyargs, args.kw_defaults)]
    if args.kwarg:
        made.append("**" + parameter(args.kwarg))
    return ", ".join(made)


def decorators(function: ast.FunctionDef) -> set[str]:
    return {ast.unparse(d).split("(")[0] for d in function.decorator_list}


class Writer:
    def __init__(self) -> None:
        self.package = Package()
        self.bare: list[str] = []

    def doc_of(self, shown: str, module: str, definition: ast.stmt, path: str) -> str:
        """The docstring of a definition as Markdown; what has none is noted."""
        doc = ast.get_docstring(definition, clean=False)
        if self.package.sources[module].is_stub:
            doc = extension_doc(path) or doc
        if not doc:
            self.bare.append(shown)
            return ""
        return markdown(doc)

    def entry(self, name: str) -> Iterator[str]:
        module, _, last = name.rpartition(".")
        if name.split(".")[0] in DECORATORS:
            yield from self.decorator(name)
            return
        module, definition, alias = self.package.find(module or self.package.module_of[last], last)
        yield f"### {last}"
        if definition is None:
            yield f"Another name of `{alias}`."
        elif isinstance(definition, ast.ClassDef):
            yield from self.class_entry(module, last, definition)
        else:
            yield block(signature(last, definition, False))
            yield self.doc_of(name, module, definition, last)

    def decorator(self, name: str) -> Iterator[str]:
        outer, _, inner = name.partition(".")
        module = self.package.module_of[outer]
        kind = self.package.sources[module].found[DECORATORS[outer]]
        function = next(f for f in kind.body if getattr(f, "name", "") == (inner or "__call__"))
        yield f"### {name}"
        yield block(signature(name, function, True))
        yield self.doc_of(name, module, function, name)

    def class_entry(self, module: str, name: str, definition: ast.ClassDef) -> Iterator[str]:
        methods = [f for f in definition.body if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef))]
        init = next((f for f in methods if f.name == "__init__" and name not in GIVEN), None)
        bases = [ast.unparse(b) for b in definition.bases if not ast.unparse(b).startswith("_")]
        head = f"class {name}({', '.join(bases)})" if bases else f"class {name}"
        yield block(head + (f"\n{signature(name, init, True)}" if init else ""))
        yield self.doc_of(name, module, definition, name)
        for base in definition.bases:
            mixin = self.package.sources[module].found.get(ast.unparse(base))
            if isinstance(mixin, ast.ClassDef) and mixin.name.startswith("_"):  # not public: its methods are shown here
                methods += [f for f in mixin.body if isinstance(f, ast.FunctionDef)]
        also = []
        for function in {f.name: f for f in methods if not f.name.startswith("_")}.values():
            if function.name.startswith("on_") and name != "PipelineCallback":
                continue  # a hook, which is told there
            if self.package.sources[module].is_stub and not extension_doc(f"{name}.{function.name}"):
                also.append(f"`{name}.{function.name}()`")
                continue
            yield self.method(module, name, function)
        if also:
            yield f"Also {', '.join(also)}."

    def method(self, module: str, owner: str, function: ast.FunctionDef) -> str:
        marks = decorators(function)
        if "property" in marks:
            told = f"{owner}.{function.name}: {ast.unparse(function.returns) if function.returns else 'Any'}"
        else:
            told = signature(f"{owner}.{function.name}", function, "staticmethod" not in marks)
        doc = self.doc_of(f"{owner}.{function.name}", module, function, f"{owner}.{function.name}")
        return f"#### `{told}`\n\n{doc}"

    def page(self) -> str:
        named = {n for part in PARTS.values() for n in part.split()}
        if missing := self.package.public - named:
            raise SystemExit(f"python-api: in no part: {', '.join(sorted(missing))}")
        made = [
            "# The Python package, name by name",
            "Made by `scripts/python-api.py` from the docstrings of the package `houndstooth`. How its names are used "
            "together is in [python.md](python.md).",
        ]
        for title, names in PARTS.items():
            made.append(f"## {title}")
            for name in names.split():
                made += self.entry(name)
        if self.bare:
            raise SystemExit(f"python-api: without a docstring: {', '.join(self.bare)}")
        return "\n\n".join(part for part in made if part) + "\n"


def block(code: str) -> str:
    return f"```python\n{code}\n```"


def extension_doc(path: str) -> str | None:
    """What the extension says of one of its names."""
    from houndstooth import _core

    found: object = _core
    for part in path.split("."):
        found = getattr(found, part)
    return found.__doc__


def main() -> int:
    made = Writer().page()
    if "--check" not in sys.argv:
        PAGE.write_text(made, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == made:
        return 0
    print("docs/api_python.md is out of date: run scripts/python-api.py")
    return 1


if __name__ == "__main__":
    sys.exit(main())
