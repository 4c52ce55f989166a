"""How long a fresh interpreter takes to import the package and end; by hand: to import nothing."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Iterator

from measure import Figure, best, command_line


def importing(statement: str, quick: bool) -> Iterator[Figure]:
    def start() -> None:
        subprocess.run([sys.executable, "-c", statement], check=True)

    start()  # compiles what was not yet, and brings files into memory
    yield Figure("a fresh interpreter that imports it", best(start, 5 if quick else 15, 10) * 1e3, "ms")


IMPLS = {
    "houndstooth": functools.partial(importing, "import houndstooth"),
    "by hand": functools.partial(importing, "pass"),
    "hypernodes": functools.partial(importing, "import hypernodes"),
    "pipefunc": functools.partial(importing, "import pipefunc"),
    "hamilton": functools.partial(importing, "import hamilton.driver"),
    "dask": functools.partial(importing, "import dask.bag, dask.delayed"),
    "daft": functools.partial(importing, "import daft"),
}

if __name__ == "__main__":
    command_line("import", IMPLS)
