"""A missing peer fails a test; the rule of conftest.py itself."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

IN_A_TEST = 'def test_it(peer):\n    peer("no_such_peer")\n'
AT_IMPORT = 'import pytest\npytest.skip("peer: no_such_peer", allow_module_level=True)\n'
BY_A_MARK = 'import pytest\n@pytest.mark.skipif(True, reason="peer: no_such_peer")\ndef test_it():\n    pass\n'
OTHER = 'import pytest\ndef test_it():\n    pytest.skip("not on this kernel")\ndef test_two():\n    pass\n'


def run(folder: Path, text: str, *args: str) -> tuple[int, str]:
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "test_made_up.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), *args]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


@pytest.mark.parametrize("text", [IN_A_TEST, AT_IMPORT, BY_A_MARK], ids=["in a test", "at import", "by a mark"])
def test_a_missing_peer_fails(tmp_path: Path, text: str) -> None:
    code, said = run(tmp_path, text)
    assert code != 0
    assert "peer: no_such_peer" in said


@pytest.mark.parametrize("text", [IN_A_TEST, BY_A_MARK], ids=["in a test", "by a mark"])
def test_it_may_lack_on_request(tmp_path: Path, text: str) -> None:
    code, said = run(tmp_path, text, "--peers-may-lack")
    assert code == 0
    assert "1 skipped" in said


def test_other_skips_are_let_be(tmp_path: Path) -> None:
    code, said = run(tmp_path, OTHER)
    assert (code, "1 passed, 1 skipped" in said) == (0, True)
