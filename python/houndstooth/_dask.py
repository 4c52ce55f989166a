"""Maps on Dask: a distributed cluster, or Dask's schedulers in this process."""

from __future__ import annotations

from typing import Any

from houndstooth._cluster import ClusterEngine, serve_slice

_INLINE = 1 << 18  # bytes of a job that travel with each slice
_IN_PROCESS = {"threads", "threading", "sync", "synchronous", "single-threaded"}


class DaskEngine(ClusterEngine):
    """Slices of maps as tasks of Dask; in each the library's scheduler batches as everywhere.

    Parameters
    ----------
    client : distributed.Client
        A cluster. Its workers need this package; a class loads once in each worker process. Tasks of a worker that is
        lost run again elsewhere.
    scheduler : str
        Without a client: "threads" (default), "processes" or "synchronous", Dask's own.
    num_workers : int
        Default: what the cluster has, or one per CPU.
    cache, callbacks, ...
        As of every engine; a cluster's workers use the cache only if its directory is there too.

    Raises
    ------
    ImportError
        Dask, or distributed for a client, is not installed; the message says what to install.
    """

    def __init__(
        self,
        client: Any = None,
        scheduler: str = "threads",
        num_workers: int | None = None,
        cache: Any = None,
        callbacks: Any = None,
        workload_type: str = "mixed",
        npartitions: int | None = None,
        **options: Any,
    ) -> None:
        try:
            import dask
        except ImportError as error:
            raise ImportError("DaskEngine needs dask: pip install 'houndstooth[dask]'") from error
        if client is None and scheduler not in _IN_PROCESS | {"processes"}:
            raise ValueError(f"scheduler is 'threads', 'processes' or 'synchronous', not {scheduler!r}")
        self._dask, self.client, self.scheduler = dask, client, scheduler
        self.num_workers = num_workers
        self._local = client is None and scheduler in _IN_PROCESS
        self._pool: Any = None
        self._jobs: dict[bytes, Any] = {}
        super().__init__(cache, callbacks, **options)

    def _workers(self) -> int:
        if self.num_workers:
            return self.num_workers
        if self.client is not None:
            return max(1, sum(w["nthreads"] for w in self.client.scheduler_info(n_workers=-1)["workers"].values()))
        import os

        return os.cpu_count() or 1

    # ---- slices ----

    def _submit(self, key: bytes, job: bytes, data: bytes, done: Any) -> None:
        if self.client is not None:
            self._submit_to_cluster(key, job, data, done)
        elif self.scheduler in _IN_PROCESS and "thread" not in self.scheduler or self.scheduler == "single-threaded":
            self._compute(key, job, data, done)
        else:
            self._executor().submit(self._compute, key, job, data, done)

    def _submit_to_cluster(self, key: bytes, job: bytes, data: bytes, done: Any) -> None:
        if len(job) > _INLINE and key not in self._jobs:
            # To every worker, under a name of its own: a copy that is lost with a worker is not the only one.
            self._jobs[key] = self.client.scatter([job], broadcast=True, hash=False)[0]
        future = self.client.submit(serve_slice, key, self._jobs.get(key, job), data, pure=False, retries=2)

        def finish(f: Any) -> None:
            if f.status == "cancelled" and key in self._jobs:  # its job is lost after all: once more, with the job
                again = self.client.submit(serve_slice, key, job, data, pure=False, retries=2)
                again.add_done_callback(lambda a: _finish(a, done))
            else:
                _finish(f, done)

        future.add_done_callback(finish)

    def _compute(self, key: bytes, job: bytes, data: bytes, done: Any) -> None:
        from houndstooth import _core

        try:
            objects = self._objects
            task = self._dask.delayed(_core.serve if self._local else serve_slice, pure=False)
            call = task(key, job, data, objects) if self._local else task(key, job, data)
            reply = call.compute(scheduler=self.scheduler, num_workers=1, optimize_graph=False)
        except BaseException as error:
            done(None, error)
        else:
            done(reply, None)

    def _executor(self) -> Any:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(self._workers(), thread_name_prefix="houndstooth-dask")
        return self._pool

    def _ended(self) -> None:
        self._jobs = {}


def _finish(future: Any, done: Any) -> None:
    try:
        reply = future.result()
    except BaseException as error:
        done(None, error)
    else:
        done(reply, None)
