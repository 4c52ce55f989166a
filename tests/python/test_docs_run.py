"""The blocks of the Python guide run in order, and print what the guide says."""

from __future__ import annotations

import contextlib
import io
import linecache
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.M | re.S)


@pytest.mark.parametrize("page", ["docs/python.md", "README.md"])
def test_a_page_does_what_it_says(page: str) -> None:
    blocks = BLOCK.findall((ROOT / page).read_text())
    names: dict = {"__name__": "page"}
    printed = None
    for i, (kind, text) in enumerate(blocks):
        if kind == "python":
            file = f"<{page} {i}>"
            linecache.cache[file] = (len(text), None, text.splitlines(True), file)  # for the source of its functions
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(text, file, "exec"), names)
            printed = out.getvalue()
        elif printed is not None:
            assert printed == text, f"{page}, block {i}"
            printed = None
    assert any(kind == "python" for kind, _ in blocks)
