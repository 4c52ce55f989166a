"""What show_config says is what there is."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from types import ModuleType

import houndstooth as ht
import pytest
from houndstooth import _config


def test_it_says_what_there_is() -> None:
    found = ht.show_config("dict")
    assert found["houndstooth"]["version"] == ht.__version__
    assert found["cpu"]["kernels"] in ("scalar", "avx2", "avx512", "amx")
    assert found["cpu"]["cpus"] == found["threads"]["ThreadEngine"] == len(os.sched_getaffinity(0))
    assert found["packages"]["numpy"] == importlib.metadata.version("numpy")
    json.dumps(found)


def test_it_prints_each_line(capsys) -> None:
    assert ht.show_config() is None
    said = capsys.readouterr().out
    for part in (f"version        {ht.__version__}", "kernels", "DiskCache", "4 GiB", "models", "greenlet"):
        assert part.split()[0] in said
    assert not [line for line in said.splitlines() if line != line.rstrip()]


def test_the_environment_counts(tmp_path) -> None:
    code = "import houndstooth as ht, json; print(json.dumps(ht.show_config('dict')))"
    env = {**os.environ, "HT_CPU": "scalar", "HOUNDSTOOTH_HOME": str(tmp_path)}
    found = json.loads(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True).stdout)
    assert (found["cpu"]["kernels"], found["cpu"]["lowered by HT_CPU"]) == ("scalar", "scalar")
    assert found["models"]["folder"] == f"{tmp_path}/models"


def test_nothing_is_imported_for_it() -> None:
    code = "import houndstooth as ht, sys; ht.show_config('dict'); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()
    assert not {"numpy", "pyarrow", "daft", "dask", "distributed", "ray", "IPython"} & set(modules)


def test_a_package_that_is_not_there_says_what_is_lacking(monkeypatch) -> None:
    monkeypatch.setitem(_config.PEERS, "no_such_package", "dancing")
    assert ht.show_config("dict")["packages"]["no_such_package"] == "not installed: without it no dancing"
    monkeypatch.setitem(sys.modules, "no_such_package", ModuleType("no_such_package"))
    assert ht.show_config("dict")["packages"]["no_such_package"].startswith("broken: ")


def test_other_modes_are_refused() -> None:
    with pytest.raises(ValueError, match="mode is 'stdout' or 'dict', not 'yaml'"):
        ht.show_config("yaml")


def test_defaults_of_caches_are_those_of_the_library() -> None:
    from pathlib import Path

    source = (Path(__file__).resolve().parents[2] / "src/cache/cache.c").read_text()
    assert "default_disk = (uint64_t)4 << 30, default_memory = (uint64_t)256 << 20" in source
