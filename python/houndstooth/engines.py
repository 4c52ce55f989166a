"""Engines: who runs a pipeline. Results, order, pruning, caching, callbacks and errors are the same on each."""

from __future__ import annotations

from typing import Any

from houndstooth import _core

_SEQUENTIAL, _THREADS, _PROCESSES = 0, 1, 2


class Engine:
    """What engines of this machine share.

    Parameters
    ----------
    cache : DiskCache or MemoryCache
        Keeps results of nodes; off without one.
    callbacks : list of PipelineCallback
    window : int
        Items of maps that are under way at most. Default 1024.
    batch : bool
        False: rows are called one by one, never in batches.
    timeout : float
        Seconds of a whole run; TimeoutError beyond them.
    trace : bool or Trace
        Records what runs when; `last_trace` has it, `waterfall` shows it.
    """

    _kind = _SEQUENTIAL

    def __init__(
        self,
        cache: Any = None,
        callbacks: Any = None,
        *,
        window: int = 0,
        batch: bool = True,
        timeout: float | None = None,
        trace: Any = None,
        workers: int = 0,
    ) -> None:
        if workers is not None and workers < 0:
            raise ValueError(f"workers is a number of workers, not {workers}")
        self.cache = cache
        self.callbacks = list(callbacks or [])
        self.window, self.batch, self.timeout = window, batch, timeout
        self.workers = workers or 0
        self.last_trace = _core.Trace() if trace is True else trace
        self._keeps_trace = isinstance(trace, _core.Trace)
        self._plain = None if self.callbacks else self._settings()

    def _settings(self, event: Any = None) -> Any:
        return _core.Engine(
            self._kind,
            workers=self.workers,
            window=self.window,
            batch_max=0 if self.batch else 1,
            cache=getattr(self.cache, "_core", None),
            trace=self.last_trace,
            event=event,
            timeout_ms=round(1000 * self.timeout) if self.timeout else 0,
        )

    def _run(self, pipeline: Any, inputs: dict[str, Any], outputs: list[str] | None, request: Any) -> Any:
        inputs = pipeline._known(inputs)
        for name, value in inputs.items():
            if type(value).__module__.startswith("daft."):
                from houndstooth._daft_udf import ours_of

                inputs = {**inputs, name: ours_of(value)}
        core = pipeline._core(self.cache is not None)
        plain = not any(isinstance(v, _core.Instance) for v in inputs.values()) and not pipeline._holds_instances()
        arguments = (plain, request.map_over, request.product, request.collect, request.result)
        if not self.callbacks and not pipeline._hears():
            return core.run(inputs, outputs, self._plain or self._settings(), *arguments)
        from houndstooth.callbacks import Dispatcher

        if any(getattr(c, "wants_trace", False) for c in self.callbacks) and not self._keeps_trace:
            self.last_trace = _core.Trace()  # of this run alone
        dispatcher = Dispatcher(self, pipeline, inputs, request, outputs)
        with dispatcher:
            result = core.run(inputs, outputs, self._settings(dispatcher.event), *arguments)
            dispatcher.finished(result)
        return result

    def run(self, pipeline: Any, inputs: dict[str, Any] | None = None, output_name: Any = None) -> dict[str, Any]:
        """`Pipeline.run` with this engine."""
        return pipeline.run(inputs, output_name, engine=self)

    def map(self, pipeline: Any, inputs: dict[str, Any], map_over: Any, **options: Any) -> list[Any]:
        """`Pipeline.map` with this engine."""
        return pipeline.map(inputs, map_over, engine=self, **options)

    def waterfall(self, title: str | None = None) -> Any:
        """What ran when, as a page that stands alone: a str, which notebooks show, with `save(filename)`.

        Raises
        ------
        ValueError
            The engine keeps no trace.
        """
        from houndstooth.viz import Picture

        if self.last_trace is None:
            raise ValueError("the engine keeps no trace: make it with trace=True")
        return Picture(self.last_trace.html(title), "html")

    def __repr__(self) -> str:
        parts = [f"workers={self.workers}"] if self.workers else []
        if self.cache is not None:
            parts.append(f"cache={self.cache!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


class SequentialEngine(Engine):
    """One thread; batches and coroutines still apply."""

    def __init__(self, cache: Any = None, callbacks: Any = None, **options: Any) -> None:
        super().__init__(cache, callbacks, **options)


SeqEngine = SequentialEngine


class ThreadEngine(Engine):
    """Ready nodes and batches over a pool of threads; native work runs without the GIL.

    Parameters
    ----------
    workers : int
        Threads; default one per CPU.
    """

    _kind = _THREADS

    def __init__(self, workers: int = 0, cache: Any = None, callbacks: Any = None, **options: Any) -> None:
        super().__init__(cache, callbacks, workers=workers, **options)


_default: Any = None


def default_engine() -> SequentialEngine:
    """The engine of pipelines that have none."""
    global _default
    if _default is None:
        _default = SequentialEngine()
    return _default


class foreign_engine:  # noqa: N801  it is called like a function
    """Any object with `run` and `map` as an engine."""

    def __init__(self, engine: Any) -> None:
        if not hasattr(engine, "run"):
            raise TypeError(f"an engine is wanted, with run and map; not a {type(engine).__name__}")
        self._engine = engine

    def _run(self, pipeline: Any, inputs: dict[str, Any], outputs: list[str] | None, request: Any) -> Any:
        if request.map_over is None:
            return self._engine.run(pipeline, inputs, output_name=outputs)
        mode = "product" if request.product else "zip"
        return self._engine.map(pipeline, inputs, list(request.map_over), map_mode=mode, output_name=outputs)

    def _settings(self, event: Any = None) -> Any:
        raise TypeError("an engine of another kind cannot run inside a pipeline")


def __getattr__(name: str) -> Any:
    lazy = {"ProcessEngine": "_processes", "DaskEngine": "_dask", "DaftEngine": "_daft"}
    if name not in lazy:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("houndstooth." + lazy[name]), name)


__all__ = ["DaftEngine", "DaskEngine", "Engine", "ProcessEngine", "SeqEngine", "SequentialEngine", "ThreadEngine"]
