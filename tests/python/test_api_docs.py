"""docs/api_python.md is what the docstrings say, and what is public has docstrings."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import houndstooth as ht
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script():
    spec = importlib.util.spec_from_file_location("python_api", ROOT / "scripts/python-api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(script) -> None:
    assert script.PAGE.read_text() == script.Writer().page(), "run scripts/python-api.py"


def test_every_public_name_is_in_it(script) -> None:
    page = script.PAGE.read_text()
    assert not [name for name in ht.__all__ if f"\n### {name}\n" not in page]


def test_what_is_wrong_is_told(script, monkeypatch) -> None:
    parts = dict(script.PARTS)
    parts["Caches"] = "Cache DiskCache"
    monkeypatch.setattr(script, "PARTS", parts)
    with pytest.raises(SystemExit, match="in no part: MemoryCache"):
        script.Writer().page()
    monkeypatch.undo()
    writer = script.Writer()
    bare = script.ast.parse("class Cache:\n    def get(self): ...").body[0]
    writer.package.sources["cache"].found["Cache"] = bare
    with pytest.raises(SystemExit, match=r"without a docstring: Cache, Cache.get"):
        writer.page()


def test_a_docstring_becomes_markdown(script) -> None:
    doc = """One ``code`` and
    `more`.

    Parameters
    ----------
    a : int
        First,
        on two lines.
    b

    Raises
    ------
    ValueError
        Wrong.

    Examples
    --------
    >>> f(
    ...     1)
    """
    assert script.markdown(doc) == (
        "One `code` and `more`.\n\nParameters:\n\n- `a` (int): First, on two lines.\n- `b`\n\n"
        "Raises:\n\n- `ValueError`: Wrong.\n\n```python\nf(\n    1)\n```"
    )
    signed = script.ast.parse("def f(self, a, /, b: int = 1, *c, d, e=None, **g) -> str: ...").body[0]
    assert script.signature("f", signed, True) == "f(a, /, b: int = 1, *c, d, e=None, **g) -> str"
