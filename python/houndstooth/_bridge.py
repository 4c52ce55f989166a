"""A bridge's process: ``python -m houndstooth._bridge dask ADDRESS`` or ``daft RUNNER``, started by a C program.

Hands each slice to the cluster and waits for its reply. Nothing of it is pickled but the bytes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from houndstooth._cluster import serve_plain

Runner = Callable[[bytes, bytes, bytes], bytes]


def dask_runner(address: str, plugins: tuple[str, ...]) -> Runner:
    from distributed import Client, LocalCluster

    client = (
        Client(address) if address else Client(LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None))
    )

    def run(key: bytes, job: bytes, data: bytes) -> bytes:
        return client.submit(serve_plain, key, job, data, plugins, pure=False, retries=2).result()

    return run


def daft_runner(runner: str, plugins: tuple[str, ...]) -> Runner:
    import daft

    if runner == "ray":
        daft.set_runner_ray()
    else:
        daft.set_runner_native()

    def run(key: bytes, job: bytes, data: bytes) -> bytes:
        def serve(slices: Any) -> list[bytes]:
            return [serve_plain(key, job, s, plugins) for s in slices.to_pylist()]

        call = daft.func.batch(return_dtype=daft.DataType.binary())(serve)
        frame = daft.from_pydict({"slice": [data]}).select(call(daft.col("slice")).alias("reply"))
        return frame.to_pydict()["reply"][0]

    return run


def main(arguments: list[str]) -> int:
    """Serves until the program ends."""
    from houndstooth import _core

    system, where, *plugins = arguments
    make = {"dask": dask_runner, "daft": daft_runner}[system]
    run: Runner | None = None
    jobs: dict[bytes, bytes] = {}

    def serve(key: bytes, job: bytes | None, data: bytes) -> bytes | None:
        nonlocal run
        if job is not None:
            jobs[key] = job
            while len(jobs) > 16:
                del jobs[next(iter(jobs))]
        if key not in jobs:
            return None
        if run is None:
            run = make(where, tuple(plugins))
        return run(key, jobs[key], data)

    return _core.serve_bridge(serve)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)
