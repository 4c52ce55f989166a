"""Rules for all Python tests. By hand, after scripts/python-env.sh and scripts/build.sh release:

    PYTHONPATH=build/release/python .venv-python/bin/python -m pytest tests/python

A test beside a peer (daft, dask, ray, pyarrow, ...) that cannot run is a failure: a skip whose reason starts with
"peer:" fails, unless --peers-may-lack is given, for work on a machine without them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--peers-may-lack", action="store_true", help="let tests of peers that are not installed skip")


def _fail_if_peer(report: pytest.TestReport | pytest.CollectReport, config: pytest.Config) -> None:
    """Turns a skip for want of a peer into a failure; a skip's longrepr is (path, line, "Skipped: reason")."""
    if not report.skipped or not isinstance(report.longrepr, tuple) or config.getoption("--peers-may-lack"):
        return
    reason = report.longrepr[2].removeprefix("Skipped: ")
    if reason.startswith("peer:"):
        report.outcome = "failed"
        report.longrepr = f"{reason} (scripts/python-env.sh installs it; --peers-may-lack lets this test skip)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    _fail_if_peer(report, item.config)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    report = yield
    _fail_if_peer(report, collector.config)
    return report


@pytest.fixture(scope="session")
def peer() -> Callable[[str], ModuleType]:
    """Imports a peer by name, or skips the test with a reason that fails where peers must be there."""

    def load(name: str) -> ModuleType:
        try:
            return importlib.import_module(name)
        except ImportError as error:
            pytest.skip(f"peer: {name} cannot be imported: {error}")

    return load


@pytest.fixture(params=["sequential", "threads", "processes", "dask", "daft"])
def engine(request: pytest.FixtureRequest, peer: Callable[[str], ModuleType]) -> Any:
    """Every engine there is, one after the other; without its peer the test fails."""
    from engines_fixture import engine_of

    if request.param in ("dask", "daft"):
        peer(request.param)
    return engine_of(request.param)


@pytest.fixture(params=["sequential", "threads", "processes", "dask", "daft"])
def make_engine(request: pytest.FixtureRequest, peer: Callable[[str], ModuleType]) -> Callable[..., Any]:
    """Makes an engine of every kind with options."""
    from engines_fixture import engine_of

    if request.param in ("dask", "daft"):
        peer(request.param)
    return lambda **options: engine_of(request.param, **options)


@pytest.fixture
def log(tmp_path: Path) -> Any:
    """A function that notes its arguments, also from worker processes; `lines()` has them."""
    from engines_fixture import CallLog

    return CallLog(tmp_path / "calls.log")
