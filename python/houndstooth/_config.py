"""What this installation has: `show_config`."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

from houndstooth import _core

# Optional packages, and what is not there without them.
PEERS = {
    "greenlet": "calls of instances inside node bodies that gather into batches",
    "cloudpickle": "functions and classes of scripts in other processes",
    "numpy": "arrays as values and columns",
    "pyarrow": "to_arrow() as pyarrow's own arrays",
    "dask": "DaskEngine",
    "distributed": "DaskEngine on a cluster",
    "daft": "DaftEngine, classes in Daft frames",
    "ray": "Daft's Ray runner",
    "IPython": "pictures and bars in notebooks",
}


def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Shows version, CPU and kernels, threads, optional packages, model folder and defaults of caches.

    Nothing is imported for it.

    Parameters
    ----------
    mode : "stdout" or "dict"
        Print it, or return it.

    Returns
    -------
    dict or None
    """
    if mode not in ("stdout", "dict"):
        raise ValueError(f"mode is 'stdout' or 'dict', not {mode!r}")
    found = _found()
    if mode == "dict":
        return found
    print("\n".join(_lines(found)))
    return None


def _found() -> dict[str, Any]:
    library = _core.config()
    return {
        "houndstooth": {"version": _core.version(), "folder": os.path.dirname(__file__), "extension": _core.__file__},
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "cpu": {
            "name": _cpu_name(),
            "cpus": _cpus(),
            "kernels": library["kernels"],
            "lowered by HT_CPU": os.environ.get("HT_CPU"),
        },
        "threads": {"ThreadEngine": _cpus(), "window": 1024},
        "models": {"folder": library["models"], "default model": library["default_model"]},
        "cache": {"engines": None, "DiskCache": "4 GiB, no age limit", "MemoryCache": "256 MiB"},
        "packages": {name: _peer(name) for name in PEERS},
    }


def _cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _peer(name: str) -> str:
    """A package's version, or why it is not there and what that costs."""
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec

    try:
        there = find_spec(name) is not None
    except (ImportError, ValueError) as error:
        return f"broken: {error}"
    if not there:
        return f"not installed: without it no {PEERS[name]}"
    try:
        return version(name)
    except PackageNotFoundError:
        return "there, its version unknown"


def _lines(found: dict[str, Any]) -> list[str]:
    width = max(len(key) for part in found.values() for key in part)
    lines = []
    for title, part in found.items():
        lines.append(title)
        lines += [f"  {key:<{width}}  {'none' if value is None else value}" for key, value in part.items()]
    return lines


__all__ = ["show_config"]
