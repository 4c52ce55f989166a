"""A worker process: ``python -m houndstooth._worker``, started by the library with its socket at descriptor 3."""

from __future__ import annotations

import os
import sys


def command() -> list[str]:
    """The words that start one; it finds what this process finds."""
    os.environ["HOUNDSTOOTH_WORKER_PATH"] = os.pathsep.join(p or os.getcwd() for p in sys.path)
    return [sys.executable, "-u", "-m", "houndstooth._worker"]


def main() -> int:
    """Serves until the parent ends."""
    for path in os.environ.get("HOUNDSTOOTH_WORKER_PATH", "").split(os.pathsep):
        if path and path not in sys.path:
            sys.path.append(path)
    from houndstooth import _core

    return _core.serve_worker(["houndstooth", *sys.argv[1:]])


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
