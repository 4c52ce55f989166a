"""Bars while a run goes on, and spans of what it did."""

from __future__ import annotations

import re
import shutil
import sys
import time
from typing import Any

from houndstooth import _core
from houndstooth.callbacks import CallbackContext, PipelineCallback


class ProgressCallback(PipelineCallback):
    """Bars for maps and nodes: counts, rate, share cached, time and time left.

    On a terminal they are drawn in place; in a notebook the cell's output is; elsewhere a line is written now and then.

    Parameters
    ----------
    enable : bool
        False: nothing is shown.
    file : text file
        Default: standard error.
    interval : float
        Seconds between drawings. Default: 0.1, 10 where lines are written.
    """

    def __init__(self, enable: bool = True, file: Any = None, interval: float | None = None) -> None:
        self.enable, self._file, self._interval = enable, file, interval

    def _listener(self, pipeline: Any, inputs: dict[str, Any], outputs: list[str] | None) -> Any:
        if not self.enable:
            return None
        file = self._file if self._file is not None else sys.stderr
        display = _notebook_display() if self._file is None else None
        in_place = display is not None or bool(getattr(file, "isatty", lambda: False)())
        size = shutil.get_terminal_size()
        core, given = pipeline._core(False), [n for n in pipeline.root_args if n in inputs]
        return _core.Progress(
            core,
            outputs,
            given,
            display or _writer(file),
            terminal=in_place,
            width=max(size.columns, 20),
            height=max(size.lines, 4),
            interval_ms=round(1000 * self._interval) if self._interval else 0,
        )


def _writer(file: Any) -> Any:
    def write(text: str) -> None:
        file.write(text)
        file.flush()

    return write


def _notebook_display() -> Any:
    """A function that shows text in place of what it showed before; None outside notebooks."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if type(shell).__name__ != "ZMQInteractiveShell":
        return None
    from IPython.display import HTML, display

    handle = display(HTML(""), display_id=True)

    def write(text: str) -> None:
        from html import escape

        plain = re.sub(r"\033\[\d*[AK]\r?", "", text)
        handle.update(HTML(f'<pre style="line-height:1.1">{escape(plain)}</pre>'))

    return write


class TelemetryCallback(PipelineCallback):
    """What ran, when and for how long: spans of pipelines, nodes, maps and items.

    Parameters
    ----------
    trace_map_items : bool
        Whether items of maps have spans.
    logfire_instance : object
        Each span that ends is given to its ``span(name, **attributes)``, a context manager.

    Attributes
    ----------
    span_data : list of dict
        In the order of their ends: name, start_time (seconds of `time.time`), duration (seconds), depth, parent (the
        pipeline around it, or None), cached, type ("pipeline", "node", "map" or "map_item").
    trace : Trace
        Of the last run, with batches, waits, loads and the threads that they were on.
    """

    wants_trace = True

    def __init__(self, trace_map_items: bool = True, logfire_instance: Any = None) -> None:
        self.trace_map_items, self._logfire = trace_map_items, logfire_instance
        self.span_data: list[dict[str, Any]] = []
        self.trace: Any = None

    def get_waterfall_chart(self, title: str | None = None) -> Any:
        """The last run's spans as a page that stands alone, which notebooks show.

        Raises
        ------
        ValueError
            Nothing has run yet.
        """
        from houndstooth.viz import Picture

        if self.trace is None:
            raise ValueError("there is no chart before a run with this callback")
        return Picture(self.trace.html(title), "html")

    def _repr_html_(self) -> str | None:
        return self.get_waterfall_chart()._repr_html_() if self.trace is not None else None

    def _span(self, kind: str, name: str, duration: float, ctx: CallbackContext, up: int, cached: bool = False) -> None:
        """`up`: pipelines of the context's path that are the span itself and not around it."""
        around = ctx.hierarchy_path[: ctx.depth - up]
        parent = ctx.get_pipeline_metadata(around[-1]).get("pipeline_name") or around[-1] if around else None
        told = {"depth": len(around), "parent": parent, "cached": cached, "type": kind}
        span = {"name": name, "start_time": time.time() - duration, "duration": duration, **told}
        self.span_data.append(span)
        if self._logfire is not None:
            with self._logfire.span(name, **{k: v for k, v in span.items() if k != "name"}):
                pass

    def on_pipeline_end(self, pipeline_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
        self._span("pipeline", ctx.metadata.get("pipeline_name") or pipeline_id, duration, ctx, 1)

    def on_node_end(self, node_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
        self._span("node", node_id, duration, ctx, 0)

    def on_node_cached(self, node_id: str, signature: str, ctx: CallbackContext) -> None:
        self._span("node", node_id, 0.0, ctx, 0, cached=True)

    def on_map_end(self, total_duration: float, ctx: CallbackContext) -> None:
        name = ctx.metadata.get("pipeline_name") or ctx.current_pipeline_id
        self._span("map", f"map of {name}", total_duration, ctx, 1)

    def on_map_item_end(self, item_index: int, duration: float, ctx: CallbackContext) -> None:
        if self.trace_map_items:
            self._span("map_item", f"item {item_index}", duration, ctx, 1)

    def on_map_item_cached(self, item_index: int, signature: str, ctx: CallbackContext) -> None:
        if self.trace_map_items:
            self._span("map_item", f"item {item_index}", 0.0, ctx, 1, cached=True)


__all__ = ["ProgressCallback", "TelemetryCallback"]
