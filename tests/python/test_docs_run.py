"""The Python blocks of the README, the Python guide and the pages for people of other libraries run, in order, and
print what the page says: what a `python` block prints stands in the `text` block behind it, in full.

A `python theirs` block shows another library; it runs, and is compared with a `text theirs` block, where that library
can be imported. Each page has a process and an empty folder of its own.
"""

# ctest: timeout=600
from __future__ import annotations

import contextlib
import importlib.util
import io
import linecache
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOUND = Path(os.environ.get("HOUND", ROOT / "build/release/hound"))
BLOCK = re.compile(r"^```(python|text)( theirs)?\n(.*?)^```$", re.M | re.S)
PAGES = ["README.md", "docs/python.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/migrating/*.md"))]
PEERS = {"hypernodes": "hypernodes", "daft_udfs": "daft", "pylate": "pylate", "bm25s": "bm25s"}
MUST_BE_THERE = {"daft"}


def run_block(code: str, file: str, names: dict) -> str:
    """What a block prints."""
    linecache.cache[file] = (len(code), None, code.splitlines(True), file)  # for the source of its functions
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, file, "exec"), names)
    return out.getvalue()


def run_page(page: str, theirs_too: bool) -> None:
    """Runs a page's blocks; SystemExit tells the first that does not print what the page says."""
    blocks = BLOCK.findall((ROOT / page).read_text())
    both = {"": {"__name__": "page"}, " theirs": {"__name__": "page_theirs"}}
    n_ours = 0
    for i, (kind, whose, text) in enumerate(blocks):
        if kind == "text" or (whose and not theirs_too):
            continue
        printed = run_block(text, f"<{page} {i}>", both[whose])
        behind = blocks[i + 1] if i + 1 < len(blocks) else None
        said = behind[2] if behind and behind[:2] == ("text", whose) else ""
        if printed != said:
            raise SystemExit(f"{page}, block {i + 1}, says:\n{said}and prints:\n{printed}")
        n_ours += not whose
    if n_ours == 0:
        raise SystemExit(f"{page}: no block of Python")


def needs_model(page: str) -> None:
    """Skips a page that loads the default model where that cannot be had."""
    if "ColBERTEncoder(" not in (ROOT / page).read_text():
        return
    if subprocess.run([ROOT / "scripts/get-model.sh"], stdout=subprocess.DEVNULL).returncode != 0:
        pytest.skip("model: scripts/get-model.sh could not fetch it")


def in_the_path() -> dict[str, str]:
    """An environment that has `hound` and the packages of this one in any folder."""
    tools = os.pathsep.join([str(HOUND.resolve().parent), os.environ.get("PATH", "")])
    packages = os.pathsep.join(str(Path(p).resolve()) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p)
    return {**os.environ, "PATH": tools, "PYTHONPATH": packages}


def in_its_own_process(page: str, theirs: bool, folder: Path) -> None:
    command = [sys.executable, __file__, page, *(["--theirs"] if theirs else [])]
    done = subprocess.run(command, cwd=folder, env=in_the_path(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_a_page_does_what_it_says(page: str, tmp_path: Path) -> None:
    needs_model(page)
    library = PEERS.get(Path(page).stem)
    theirs = library is not None and (library in MUST_BE_THERE or importlib.util.find_spec(library) is not None)
    in_its_own_process(page, theirs, tmp_path)


def test_every_page_for_people_of_other_libraries_is_linked() -> None:
    pages = [p.removeprefix("docs/") for p in PAGES if "migrating" in p]
    assert {Path(p).stem for p in pages} == set(PEERS)
    for page in pages:
        assert page in (ROOT / "README.md").read_text()


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", "says:\n2\nand prints:\n1\n"),
        ("```python\nprint(1)\n```\n", "says:\nand prints:\n1\n"),
        ("```python\nx = 1\n```\n\n```text\n1\n```\n", "says:\n1\nand prints:\n"),
        ("```python theirs\nx = 1\n```\n", "no block of Python"),
    ],
)
def test_a_page_that_says_something_else_is_seen(tmp_path: Path, page: str, complaint: str) -> None:
    (tmp_path / "page.md").write_text(page)
    with pytest.raises(SystemExit, match=re.escape(complaint)):
        run_page(str(tmp_path / "page.md"), True)


if __name__ == "__main__":
    run_page(sys.argv[1], "--theirs" in sys.argv)
