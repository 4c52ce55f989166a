"""The package imports, quickly and with the right version, and says why where it cannot."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import houndstooth as ht
import pytest

ROOT = Path(__file__).resolve().parents[2]
HOUND = os.environ.get("HOUND", ROOT / "build/release/hound")


def run(code: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args, "-c", code], capture_output=True, text=True, timeout=60)


def test_version_is_that_of_the_library() -> None:
    header = (ROOT / "include/houndstooth/base.h").read_text()
    parts = [re.search(rf"HT_VERSION_{part} (\d+)", header)[1] for part in ("MAJOR", "MINOR", "PATCH")]
    assert ht.__version__ == ".".join(parts)


def test_hound_has_the_same_version() -> None:
    said = subprocess.run([HOUND, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.split()[1] == ht.__version__


def test_the_package_is_the_one_of_the_tree() -> None:
    assert Path(ht.__file__).resolve() == ROOT / "python/houndstooth/__init__.py"


def test_import_brings_no_peer_along() -> None:
    peers = ("numpy", "pyarrow", "daft", "dask", "distributed", "ray", "IPython", "pandas")
    done = run(f"import houndstooth, sys; print(*(set({peers}) & set(sys.modules)))")
    assert (done.stdout.split(), done.returncode) == ([], 0), done.stderr


def test_a_free_threaded_interpreter_is_refused() -> None:
    done = run("import sys; sys.abiflags = 't'; import houndstooth")
    assert done.returncode == 1
    assert "ImportError: houndstooth needs a CPython with the global interpreter lock" in done.stderr


def test_the_extension_refuses_it_too() -> None:
    code = "import sys, houndstooth; del sys.modules['houndstooth._core']; sys.abiflags = 't'; import houndstooth._core"
    done = run(code)
    assert done.returncode == 1
    assert "ImportError: houndstooth needs a CPython with the global interpreter lock" in done.stderr


@pytest.mark.parametrize("name", ["pyarrow", "numpy", "daft", "dask", "distributed", "ray", "greenlet", "cloudpickle"])
def test_the_peers_are_here(name: str, peer) -> None:
    assert peer(name).__name__ == name
