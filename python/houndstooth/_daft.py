"""Maps on Daft: slices as rows of a frame, by the native or the Ray runner."""

from __future__ import annotations

from typing import Any

from houndstooth._cluster import ClusterEngine, serve_marked, take_marked


class DaftEngine(ClusterEngine):
    """Slices of maps as rows of a Daft DataFrame, all nodes of a row in one batch UDF.

    With the native runner slices stay in this process; with Ray they go where Ray puts them. Order is kept, lists keep
    their order and emptiness, values their types.

    Parameters
    ----------
    runner : "native" or "ray"
        Default: Daft's own choice (``DAFT_RUNNER``), or what the process runs on already.
    num_workers : int
        A map is cut into four slices for each. Default one per CPU.
    use_batch_udf, default_daft_config
        Accepted as HyperNodes has them; every UDF is a batch UDF.

    Raises
    ------
    ImportError
        Daft is not installed, or lacks what is needed; the message says what to install.
    ValueError
        Daft runs on the other runner in this process already.
    """

    def __init__(
        self,
        use_batch_udf: bool = True,
        default_daft_config: dict[str, Any] | None = None,
        cache: Any = None,
        callbacks: Any = None,
        runner: str | None = None,
        num_workers: int | None = None,
        **options: Any,
    ) -> None:
        self._daft = daft_module()
        if runner not in (None, "native", "ray"):
            raise ValueError(f"runner is 'native' or 'ray', not {runner!r}")
        self.num_workers = num_workers
        self.runner = _chosen(self._daft, runner)
        self._local = self.runner == "native"
        self._slices: list[tuple[bytes, bytes, bytes, Any]] = []
        super().__init__(cache, callbacks, **options)

    def _workers(self) -> int:
        if self.num_workers:
            return self.num_workers
        import os

        return os.cpu_count() or 1

    def _submit(self, key: bytes, job: bytes, data: bytes, done: Any) -> None:
        self._slices.append((key, job, data, done))

    def _flush(self) -> None:
        slices, self._slices = self._slices, []
        _live[id(self._objects)] = self._objects
        try:
            replies = self._collect(slices)
        except BaseException as error:
            for *_, done in slices:
                done(None, error)
            return
        finally:
            del _live[id(self._objects)]
        for at, (*_, done) in enumerate(slices):
            take_marked(replies[at], done)

    def _collect(self, slices: list[tuple[bytes, bytes, bytes, Any]]) -> dict[int, bytes]:
        """Replies by the number of their slice."""
        daft = self._daft
        key, job = slices[0][:2]  # one map's slices share them
        run = daft.func.batch(return_dtype=daft.DataType.binary(), batch_size=1)(_Slices(key, job, id(self._objects)))
        frame = daft.from_pydict({"at": list(range(len(slices))), "slice": [s[2] for s in slices]})
        if not self._local:
            frame = frame.repartition(min(len(slices), 4 * self._workers()))
        frame = frame.with_column("reply", run(daft.col("slice"))).select("at", "reply")
        rows = frame.to_pydict()
        return dict(zip(rows["at"], rows["reply"], strict=False))

    def generate_code(
        self, pipeline: Any, inputs: dict[str, Any] | None = None, mode: str = "run", map_over: Any = None
    ) -> str:
        """A script that does the pipeline's work with Daft alone; it does not need houndstooth.

        Nodes that run once are called, a map is a frame with a row for each item, a map inside of one is a loop. The
        sources of nodes, and of what they name in the user's own modules, stand in it without our decorators.

        Parameters
        ----------
        inputs : dict
            Written into the script as ``INPUTS``, which it runs with when it is the main program. Without them it only
            has the function ``run``.
        mode : "run" or "map"
        map_over : str or list of str
            Of mode "map": the inputs whose elements are the items. Default: those that are lists.

        Raises
        ------
        ValueError
            A function has no source, as a lambda; something that it names, or an input, cannot be written as Python.
        """
        from houndstooth._daft_script import generate

        return generate(pipeline, inputs, mode, map_over)


def _chosen(daft: Any, runner: str | None) -> str:
    """Sets Daft's runner, if one is asked for; a process can do that once, so the one that it has is as good."""
    if runner is not None:
        try:
            (daft.set_runner_ray if runner == "ray" else daft.set_runner_native)()
        except Exception as error:
            now = daft.get_or_infer_runner_type()
            if now != runner:
                raise ValueError(f"runner={runner!r}: Daft runs on {now!r} in this process already") from error
    return runner or daft.get_or_infer_runner_type()


_live: dict[int, Any] = {}


class _Slices:
    """The UDF's function: many slices of one map."""

    def __init__(self, key: bytes, job: bytes, token: int) -> None:
        self.key, self.job, self.token = key, job, token
        self.__name__ = self.__qualname__ = "houndstooth_slices"
        self.__module__ = __name__

    def __call__(self, data: Any) -> list[bytes]:
        objects = _live.get(self.token)  # of this process; elsewhere there are none of that number
        return [serve_marked(self.key, self.job, d, objects) for d in data.to_pylist()]

    def __reduce__(self) -> Any:
        return _Slices, (self.key, self.job, self.token)


def daft_module() -> Any:
    """Daft, or an ImportError that says what to install."""
    try:
        import daft
    except ImportError as error:
        raise ImportError("DaftEngine needs daft: pip install 'houndstooth[daft]'") from error
    for name in ("cls", "func", "method", "from_pydict", "col", "DataType", "get_or_infer_runner_type"):
        if not hasattr(daft, name):
            raise ImportError(f"this daft ({daft.__version__}) has no daft.{name}: install daft 0.7 or newer")
    return daft
