"""Daft's runner is set once in a process: engines that ask for the one it has are made, others say why not."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import houndstooth as ht

if {used}:
    import daft
    daft.from_pydict({{"a": [1]}}).to_pydict()
print([ht.DaftEngine(runner="native").runner, ht.DaftEngine(runner="native").runner, ht.DaftEngine().runner])
try:
    ht.DaftEngine(runner="ray")
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize("used", [False, True])
def test_the_runner_that_daft_has_can_be_asked_for_again(peer, used: bool) -> None:
    peer("daft")
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(used=used)], capture_output=True, text=True)
    assert done.stdout == (
        "['native', 'native', 'native']\nrunner='ray': Daft runs on 'native' in this process already\n"
    ), done.stderr
