"""The tutorial notebook: its code cells run in order, in one fresh process, and print what is stored in it.

No Jupyter is needed: cells are plain Python that print what they show, and pictures are not stored. After a change
`python tests/python/test_tutorial.py --write` stores what the cells print now; read the difference before a commit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from test_docs_run import in_the_path, needs_model, run_block

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs/tutorial.ipynb"


def code_cells(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def stored(cell: dict) -> str:
    """The text that a cell has printed when it was stored; other outputs are not kept."""
    assert all((o["output_type"], o["name"]) == ("stream", "stdout") for o in cell["outputs"]), cell["id"]
    return "".join(line for output in cell["outputs"] for line in output["text"])


def run_cells(notebook: dict) -> list[str]:
    names: dict = {"__name__": "tutorial"}
    return [run_block("".join(cell["source"]), f"<{cell['id']}>", names) for cell in code_cells(notebook)]


def test_the_cells_print_what_is_stored(tmp_path: Path) -> None:
    needs_model("docs/tutorial.ipynb")
    command = [sys.executable, __file__]
    done = subprocess.run(command, cwd=tmp_path, env=in_the_path(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cells = code_cells(json.loads(NOTEBOOK.read_text()))
    assert len(cells) >= 10
    for cell, printed in zip(cells, json.loads(done.stdout), strict=True):
        assert printed == stored(cell), cell["id"]


def test_it_is_a_notebook_without_traces_of_a_machine(peer) -> None:
    peer("nbformat").validate(json.loads(NOTEBOOK.read_text()))
    notebook = json.loads(NOTEBOOK.read_text())
    assert all(cell["execution_count"] is None and not cell["metadata"] for cell in code_cells(notebook))
    assert not [home for home in (os.path.expanduser("~/"), "/home/") if home in NOTEBOOK.read_text()]
    assert NOTEBOOK.stat().st_size < 40_000


def test_a_cell_that_prints_something_else_is_seen() -> None:
    cell = {"cell_type": "code", "id": "x", "source": ["print(1)\n"]}
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["2\n"]}]
    assert run_cells({"cells": [cell]}) == ["1\n"]
    assert stored(cell) == "2\n"
    with pytest.raises(AssertionError):
        stored({**cell, "outputs": [{"output_type": "stream", "name": "stderr", "text": ["2\n"]}]})


def write() -> None:
    """Stores what the cells print."""
    notebook = json.loads(NOTEBOOK.read_text())
    for cell, printed in zip(code_cells(notebook), run_cells(notebook), strict=True):
        lines = printed.splitlines(True)
        cell["outputs"] = [{"name": "stdout", "output_type": "stream", "text": lines}] if lines else []
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    if "--write" in sys.argv:
        write()
    else:
        print(json.dumps(run_cells(json.loads(NOTEBOOK.read_text()))))
