"""Callbacks: what a run tells while it goes on, with HyperNodes' hook names."""

from __future__ import annotations

import sys
import time
from typing import Any

_START, _END, _ERROR, _MAP_START, _MAP_END, _BATCH, _CACHED, _WARNING, _ITEM_START, _ITEM_END = range(10)


class CallbackContext:
    """What the hooks of one run share.

    Attributes
    ----------
    depth : int
        Of the pipeline that an event is of; 0: the outermost.
    current_pipeline_id, parent_pipeline_id : str or None
    hierarchy_path : list of str
        Ids from the outermost pipeline to the current one.
    """

    def __init__(self) -> None:
        self._data: dict[str, Any] = {}
        self._metadata: dict[str, dict[str, Any]] = {}
        self.hierarchy_path: list[str] = []

    def get(self, key: str, default: Any = None) -> Any:
        return self._data.get(key, default)

    def set(self, key: str, value: Any) -> None:
        self._data[key] = value

    @property
    def depth(self) -> int:
        return max(0, len(self.hierarchy_path) - 1)

    @property
    def current_pipeline_id(self) -> str | None:
        return self.hierarchy_path[-1] if self.hierarchy_path else None

    @property
    def parent_pipeline_id(self) -> str | None:
        return self.hierarchy_path[-2] if len(self.hierarchy_path) > 1 else None

    def get_pipeline_metadata(self, pipeline_id: str) -> dict[str, Any]:
        """{total_nodes, pipeline_name, node_ids} of a pipeline of this run."""
        return self._metadata.get(pipeline_id, {})

    def set_pipeline_metadata(self, pipeline_id: str, metadata: dict[str, Any]) -> None:
        self._metadata[pipeline_id] = metadata


class PipelineCallback:
    """Hooks that do nothing; derive from it and override those that are of interest.

    A hook that raises is reported and does not end the run. `supported_engines` may list the class names of engines.
    """

    supported_engines: list[str] | None = None

    def on_pipeline_start(self, pipeline_id: str, inputs: dict[str, Any], ctx: CallbackContext) -> None: ...
    def on_pipeline_end(
        self, pipeline_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext
    ) -> None: ...
    def on_node_start(self, node_id: str, inputs: dict[str, Any], ctx: CallbackContext) -> None: ...
    def on_node_end(self, node_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None: ...
    def on_node_cached(self, node_id: str, signature: str, ctx: CallbackContext) -> None: ...
    def on_error(self, node_id: str, error: BaseException | None, ctx: CallbackContext) -> None: ...
    def on_nested_pipeline_start(self, parent_id: str, child_id: str, ctx: CallbackContext) -> None: ...
    def on_nested_pipeline_end(self, parent_id: str, child_id: str, duration: float, ctx: CallbackContext) -> None: ...
    def on_map_start(self, total_items: int, ctx: CallbackContext) -> None: ...
    def on_map_end(self, total_duration: float, ctx: CallbackContext) -> None: ...
    def on_map_item_start(self, index: int, ctx: CallbackContext) -> None: ...
    def on_map_item_end(self, index: int, duration: float, ctx: CallbackContext) -> None: ...
    def on_map_item_cached(self, index: int, signature: str, ctx: CallbackContext) -> None: ...


class _Way:
    """An item's way through a pipeline, as the library numbers it."""

    __slots__ = ("path", "pipeline", "started", "outputs", "item", "node_started", "inputs")

    def __init__(self, path: list[str], pipeline: Any, item: int | None, inputs: dict[str, Any]) -> None:
        self.path, self.pipeline, self.item, self.inputs = path, pipeline, item, inputs
        self.started = time.perf_counter()
        self.outputs: dict[str, Any] = {}
        self.node_started: dict[str, float] = {}


class Dispatcher:
    """Turns the library's events of one run into hooks."""

    def __init__(self, engine: Any, pipeline: Any, inputs: dict[str, Any], request: Any) -> None:
        self.callbacks = engine.callbacks
        self.pipeline, self.inputs, self.mapped = pipeline, inputs, request.map_over is not None
        self.ctx = CallbackContext()
        self.ways: dict[int, _Way] = {}
        self.pending: list[tuple[str, Any, str]] = []  # nested pipelines that are about to start
        self.nested: dict[tuple[int, str], tuple[float, str]] = {}
        self.started = time.perf_counter()

    # ---- telling ----

    def _tell(self, hook: str, path: list[str], *arguments: Any) -> None:
        self.ctx.hierarchy_path = path
        for callback in self.callbacks:
            method = getattr(callback, hook, None)
            if method is None:
                continue
            try:
                method(*arguments, self.ctx)
            except Exception as error:
                sys.unraisablehook(_Unraisable(error, f"{type(callback).__name__}.{hook}"))

    def _describe(self, pipeline: Any) -> str:
        names = list(pipeline._info["nodes"])
        metadata = {"total_nodes": len(names), "pipeline_name": pipeline.name, "node_ids": names}
        self.ctx.set_pipeline_metadata(pipeline.id, metadata)
        return pipeline.id

    # ---- the run's ends ----

    def __enter__(self) -> Dispatcher:
        self._describe(self.pipeline)
        if self.mapped:
            self._total: int | None = None
        else:
            self._open(0, [self.pipeline.id], self.pipeline, None, self.inputs)
        return self

    def __exit__(self, *exc: Any) -> None: ...

    def finished(self, result: Any) -> None:
        """The run has ended well."""
        path = [self.pipeline.id]
        if self.mapped:
            if self._total is None:
                self._tell("on_map_start", path, 0)
            self._tell("on_map_end", path, time.perf_counter() - self.started)
        else:
            self._tell("on_pipeline_end", path, self.pipeline.id, result, time.perf_counter() - self.started)

    def _open(self, frame: int, path: list[str], pipeline: Any, item: int | None, inputs: dict[str, Any]) -> _Way:
        way = self.ways[frame] = _Way(path, pipeline, item, inputs)
        if item is not None:
            self._tell("on_map_item_start", path[:-1] or path, item)
        self._tell("on_pipeline_start", path, pipeline.id, inputs)
        return way

    # ---- events ----

    def event(
        self, kind: int, node: str, depth: int, item: int, n: int, frame: int, parent: int, values: Any, error: Any
    ) -> None:
        """One event; the number of a way of 0 comes from another process, which tells nodes alone."""
        if kind == _ITEM_START:
            self._item_start(node, item, n, frame, parent)
        elif kind == _ITEM_END:
            self._item_end(item, frame, parent)
        elif kind in (_START, _END, _CACHED, _ERROR):
            way = self._way(frame, parent)
            if way is not None:
                self._node(kind, way, node, frame, values or {}, error)

    def _way(self, frame: int, parent: int) -> _Way | None:
        way = self.ways.get(frame)
        if way is None and not self.mapped and parent == 0:
            way = self.ways[frame] = self.ways[0]
        if way is None and parent in self.ways:
            way = self._enter(frame, parent)
        return way

    def _enter(self, frame: int, parent: int) -> _Way | None:
        """A nested pipeline that is not mapped, at its first event."""
        outer = self.ways[parent]
        for at, (key, node, _) in enumerate(self.pending):
            if key == f"{parent}":
                del self.pending[at]
                path = [*outer.path, node.pipeline.id]
                self._describe(node.pipeline)
                way = self.ways[frame] = _Way(path, node.pipeline, None, {})
                self._tell("on_pipeline_start", path, node.pipeline.id, {})
                self.nested[(parent, node.name)] = (time.perf_counter(), node.pipeline.id)
                return way
        return None

    def _node_of(self, way: _Way, name: str) -> Any:
        return next((n for n in way.pipeline.nodes if n.name == name), None)

    def _node(self, kind: int, way: _Way, name: str, frame: int, values: dict[str, Any], error: Any) -> None:
        node = self._node_of(way, name)
        inner = getattr(node, "pipeline", None)
        if kind == _START:
            way.node_started[name] = time.perf_counter()
            self._tell("on_node_start", way.path, name, values)
            if inner is not None:
                self._tell("on_nested_pipeline_start", way.path, way.pipeline.id, inner.id)
                self.nested[(frame, name)] = (time.perf_counter(), inner.id)
                if not node.map_over:
                    self.pending.append((f"{frame}", node, name))
                else:
                    self._describe(inner)
        elif kind == _END:
            way.outputs.update(values)
            took = time.perf_counter() - way.node_started.pop(name, time.perf_counter())
            if inner is not None:
                self._nested_end(way, node, frame, values)
            self._tell("on_node_end", way.path, name, values, took)
        elif kind == _CACHED:
            way.outputs.update(values)
            self._tell("on_node_cached", way.path, name, "")
            if way.item is not None:
                self._tell("on_map_item_cached", way.path[:-1] or way.path, way.item, "")
        else:
            self._tell("on_error", way.path, name, error)

    def _nested_end(self, way: _Way, node: Any, frame: int, values: dict[str, Any]) -> None:
        started, child = self.nested.pop((frame, node.name), (time.perf_counter(), node.pipeline.id))
        took = time.perf_counter() - started
        path = [*way.path, child]
        if node.map_over:
            self._tell("on_map_end", path, took)
        else:
            self._tell("on_pipeline_end", path, child, values, took)
        self._tell("on_nested_pipeline_end", way.path, way.pipeline.id, child, took)

    def _item_start(self, node: str, item: int, n: int, frame: int, parent: int) -> None:
        outer = self.ways.get(parent)
        if outer is None:  # an item of the whole map
            path, pipeline = [self.pipeline.id], self.pipeline
            if self._total is None:
                self._total = n
                self._tell("on_map_start", path, n)
            self._tell("on_map_item_start", path, item)
            way = self.ways[frame] = _Way(path, pipeline, item, {})
        else:
            inner = self._node_of(outer, node).pipeline
            path = [*outer.path, inner.id]
            key = (parent, node + "\0map")
            if key not in self.nested:
                self.nested[key] = (0.0, "")
                self._tell("on_map_start", path, n)
            self._tell("on_map_item_start", path, item)
            way = self.ways[frame] = _Way(path, inner, item, {})
        self._tell("on_pipeline_start", way.path, way.pipeline.id, {})

    def _item_end(self, item: int, frame: int, parent: int) -> None:
        way = self.ways.pop(frame, None)
        if way is None:
            return
        took = time.perf_counter() - way.started
        self._tell("on_pipeline_end", way.path, way.pipeline.id, way.outputs, took)
        self._tell("on_map_item_end", way.path, item, took)


class _Unraisable:
    """What sys.unraisablehook is told of a hook that raised."""

    def __init__(self, error: BaseException, where: str) -> None:
        self.exc_type, self.exc_value, self.exc_traceback = type(error), error, error.__traceback__
        self.err_msg, self.object = f"a callback raised and was ignored: {where}", None


__all__ = ["CallbackContext", "PipelineCallback"]
