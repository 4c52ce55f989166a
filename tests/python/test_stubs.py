"""The stub of the extension names what the extension has, no more and no less."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from houndstooth import _core

STUB = Path(__file__).resolve().parents[2] / "python/houndstooth/_core.pyi"
TREE = ast.parse(STUB.read_text())
USUAL = {n for kind in (object, BaseException) for n in vars(kind)} | {
    *(
        "__module__",
        "__weakref__",
        "__dict__",
        "__vectorcalloffset__",
        "__hash__",
        "__lt__",
        "__le__",
        "__gt__",
        "__ge__",
    ),
    *("__class_getitem__", "__del__", "__static_attributes__", "__firstlineno__"),
}


def names_in(body: list[ast.stmt]) -> set[str]:
    found = set()
    for part in body:
        if isinstance(part, (ast.FunctionDef, ast.ClassDef)):
            found.add(part.name)
        elif isinstance(part, ast.AnnAssign):
            found.add(part.target.id)
    return found


def test_every_name_of_the_extension() -> None:
    there = {n for n in vars(_core) if not n.startswith("__")}
    assert names_in(TREE.body) == there


@pytest.mark.parametrize("stub", [n for n in TREE.body if isinstance(n, ast.ClassDef)], ids=lambda n: n.name)
def test_every_member_of_its_classes(stub: ast.ClassDef) -> None:
    there = {n for n in vars(getattr(_core, stub.name)) if n not in USUAL}
    told = names_in(stub.body)
    assert told - USUAL - {"__buffer__"} <= there
    assert {n for n in there if not n.startswith("__")} <= told
