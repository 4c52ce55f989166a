"""Callbacks: what a run tells while it runs, under HyperNodes' hook names.

The order for a map of two items over two nodes: map_start; for each item: map_item_start, pipeline_start, (node_start,
node_end) x 2, pipeline_end, map_item_end; map_end. A nested pipeline: node_start, nested_pipeline_start,
pipeline_start, what is inside, pipeline_end, nested_pipeline_end, node_end. Where nodes gather into batches, items are
under way together and their events alternate; each event's context says which pipeline it is in.
"""

from __future__ import annotations

import hashlib
from time import monotonic
from typing import Any

from houndstooth import _core


class CallbackContext:
    """Where in a run an event is, and a place for callbacks to leave things in.

    One context goes through a run, nested pipelines and maps included: what is `set` in one hook, `get` finds in
    another.
    """

    def __init__(self) -> None:
        self._data: dict[str, Any] = {}
        self._path: tuple[str, ...] = ()
        self._metadata: dict[str, dict[str, Any]] = {}

    def set(self, key: str, value: Any) -> None:
        """Leaves a value for later hooks of this run."""
        self._data[key] = value

    def get(self, key: str, default: Any = None) -> Any:
        """What was left under a key, or `default`."""
        return self._data.get(key, default)

    @property
    def hierarchy_path(self) -> list[str]:
        """Ids of the pipelines around the event, the outermost first."""
        return list(self._path)

    @property
    def depth(self) -> int:
        """How many pipelines are around the event: 1 in the outermost."""
        return len(self._path)

    @property
    def current_pipeline_id(self) -> str | None:
        """Id of the pipeline that the event is in."""
        return self._path[-1] if self._path else None

    @property
    def parent_pipeline_id(self) -> str | None:
        """Id of the pipeline around that one; None in the outermost."""
        return self._path[-2] if len(self._path) > 1 else None

    @property
    def metadata(self) -> dict[str, Any]:
        """Of the current pipeline: ``total_nodes``, ``pipeline_name``, ``node_ids``."""
        return self.get_pipeline_metadata(self._path[-1]) if self._path else {}

    def get_pipeline_metadata(self, pipeline_id: str) -> dict[str, Any]:
        """The same of any pipeline of the run that has begun; empty where there is none of the id."""
        return self._metadata.get(pipeline_id, {})

    def set_pipeline_metadata(self, pipeline_id: str, metadata: dict[str, Any]) -> None:
        """Sets what `get_pipeline_metadata` gives, in the place of what was there."""
        self._metadata[pipeline_id] = dict(metadata)


class PipelineCallback:
    """Base of callbacks: override the hooks that are of interest.

    A hook that raises is reported and called again for later events; it does not end the run. KeyboardInterrupt and its
    like do. Durations are seconds.
    """

    @property
    def supported_engines(self) -> list[str] | None:
        """Names of engines that it works with; None: all."""
        return None

    def on_pipeline_start(self, pipeline_id: str, inputs: dict[str, Any], ctx: CallbackContext) -> None:
        """A run of a pipeline, or one item of a map of it, begins; `inputs` by name."""

    def on_pipeline_end(self, pipeline_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
        """It ended; `outputs` by name. Not told of one that failed."""

    def on_node_start(self, node_id: str, inputs: dict[str, Any], ctx: CallbackContext) -> None:
        """A node begins; `node_id` is its name, `inputs` its arguments by name."""

    def on_node_end(self, node_id: str, outputs: dict[str, Any], duration: float, ctx: CallbackContext) -> None:
        """A node ended; `outputs` by name."""

    def on_node_cached(self, node_id: str, signature: str, ctx: CallbackContext) -> None:
        """Instead of start and end: the result came from the cache. `signature` is the digest of the node's code."""

    def on_error(self, node_id: str, exception: BaseException, ctx: CallbackContext) -> None:
        """A node raised, in the place of its end."""

    def on_nested_pipeline_start(self, parent_id: str, child_id: str, ctx: CallbackContext) -> None:
        """A pipeline as a node begins; ids of the pipeline around it and of itself."""

    def on_nested_pipeline_end(self, parent_id: str, child_id: str, duration: float, ctx: CallbackContext) -> None:
        """It ended."""

    def on_map_start(self, total_items: int, ctx: CallbackContext) -> None:
        """A map begins, of a run or of a nested pipeline."""

    def on_map_end(self, total_duration: float, ctx: CallbackContext) -> None:
        """It ended."""

    def on_map_item_start(self, item_index: int, ctx: CallbackContext) -> None:
        """An item of a map begins; from 0, in input order."""

    def on_map_item_end(self, item_index: int, duration: float, ctx: CallbackContext) -> None:
        """It ended, and not all of it came from the cache."""

    def on_map_item_cached(self, item_index: int, signature: str, ctx: CallbackContext) -> None:
        """Instead of the item's end: all its nodes' results came from the cache."""

    def on_batch(self, name: str, rows: int, ctx: CallbackContext) -> None:
        """One call of a batch form with so many rows; `name` is the node's, or ``Class.method``."""


HOOKS = tuple(name for name in vars(PipelineCallback) if name.startswith("on_"))


def check_supported(callback: Any, engine: Any) -> None:
    """ValueError where a callback does not list the engine among those that it supports."""
    supported = getattr(callback, "supported_engines", None)
    names = [type(engine).__name__]
    if "SequentialEngine" in names:
        names.insert(0, "SeqEngine")
    if supported is not None and not set(names) & set(supported):
        raise ValueError(
            f"{type(callback).__name__} is not compatible with engine {names[0]}: it supports {', '.join(supported)}"
        )


# ---- from the library's events to hooks ----

(_NODE_START, _NODE_END, _NODE_ERROR, _MAP_START, _MAP_END, _BATCH, _CACHED, _WARNING, _ITEM_START, _ITEM_END) = range(
    10
)


class _Way:
    """One way through a pipeline: a run of it, or an item of a map of it."""

    __slots__ = (
        "pipeline",
        "path",
        "callbacks",
        "inputs",
        "outputs",
        "began",
        "starts",
        "nested",
        "cached",
        "ran",
        "failed",
    )

    def __init__(self, pipeline: Any, path: tuple[str, ...], callbacks: tuple[Any, ...], inputs: dict) -> None:
        self.pipeline, self.path, self.callbacks, self.inputs = pipeline, path, callbacks, inputs
        self.outputs: dict[str, Any] = {}
        self.began = 0.0
        self.starts: dict[str, float] = {}
        self.nested: dict[str, _Nested] = {}
        self.cached: list[str] = []
        self.ran = self.failed = False


class _Nested:
    """A nested pipeline under way: `way` where it runs once, else `item` makes one for each item."""

    __slots__ = ("node", "path", "callbacks", "inputs", "way", "began", "is_bound")

    def __init__(self, node: Any, outer: _Way, inputs: dict[str, Any]) -> None:
        self.node = node
        self.path = (*outer.path, node.pipeline.id)
        self.callbacks = outer.callbacks + _new_callbacks(node.pipeline, outer.callbacks)
        self.inputs = {node.input_mapping.get(k, k): v for k, v in inputs.items()}
        self.way = None if node.map_over else _Way(node.pipeline, self.path, self.callbacks, self.inputs)
        self.began = 0.0
        self.is_bound = False  # `way` has its number

    def item(self, index: int) -> _Way:
        over = tuple(self.node.input_mapping.get(name, name) for name in self.node.map_over)
        values = _item_of(self.inputs, over, self.node.map_mode == "product", index)
        return _Way(self.node.pipeline, self.path, self.callbacks, values)


def _new_callbacks(pipeline: Any, known: tuple[Any, ...]) -> tuple[Any, ...]:
    """Callbacks of a nested pipeline's own engine."""
    return tuple(c for c in getattr(pipeline.engine, "callbacks", None) or () if c not in known)


def _item_of(inputs: dict[str, Any], over: tuple[str, ...], product: bool, index: int) -> dict[str, Any]:
    """Inputs of one item; a mapped input that cannot be indexed is left out."""
    made = dict(inputs)
    for name in reversed(over):
        values = made.pop(name, None)
        try:
            at = index
            if product:
                index, at = divmod(index, len(values))
            made[name] = values[at]
        except Exception:
            continue
    return made


class Dispatcher:
    """Turns the events of one run into calls of its callbacks' hooks.

    Parameters
    ----------
    engine : engine
        Its callbacks hear everything, those of a nested pipeline's engine what happens inside that.
    pipeline : Pipeline
    inputs : dict
    request : Request
        Of the run: whether and over what it is mapped.
    outputs : list of str or None
        Those that are asked for.
    """

    def __init__(
        self, engine: Any, pipeline: Any, inputs: dict[str, Any], request: Any, outputs: list[str] | None = None
    ) -> None:
        for callback in engine.callbacks:
            check_supported(callback, engine)
        self._context = CallbackContext()
        self._request, self._inputs, self._pipeline = request, {**pipeline.bound_inputs, **inputs}, pipeline
        self._callbacks = tuple(engine.callbacks) + _new_callbacks(pipeline, tuple(engine.callbacks))
        self._path = (pipeline.id,)
        self._ways: dict[int, _Way] = {}
        self._hooks: dict[tuple[Any, ...], dict[str, list[Any]]] = {}
        self._reported: set[tuple[int, str]] = set()
        self._began: float | None = None
        self._now = 0.0  # of the event; other machines' clocks differ, so it is compared within one way only
        self._nodes: dict[str, dict[str, Any]] = {}
        self._kinds = (
            self._node_start,
            self._node_end,
            self._node_error,
            self._map_start,
            self._map_end,
            self._batch,
            self._node_cached,
            self._warning,
            self._item_start,
            self._item_end,
        )

        self._listeners = self._listen(engine, outputs)
        hears = any(_own_hooks(self._callbacks, hook) for hook in HOOKS)
        if len(self._listeners) == 1 and not hears and not pipeline._hears():
            self.event = self._listeners[0].event  # nothing else is to be told

    def _listen(self, engine: Any, outputs: list[str] | None) -> list[Any]:
        """What callbacks want of the events themselves, and the trace for those that show one."""
        found = []
        for callback in self._callbacks:
            if getattr(callback, "wants_trace", False):
                callback.trace = engine.last_trace
            make = getattr(callback, "_listener", None)
            listener = make(self._pipeline, self._inputs, outputs) if make is not None else None
            if listener is not None:
                found.append(listener)
        return found

    def __enter__(self) -> Dispatcher:
        return self

    def __exit__(self, *raised: Any) -> None:
        self._ways.clear()
        for listener in self._listeners:
            listener.finish()

    def event(
        self,
        kind: int,
        node: str,
        depth: int,
        item: int,
        n: int,
        frame: int,
        parent: int,
        time_ns: int,
        values: dict[str, Any] | None,
        exception: BaseException | None,
    ) -> None:
        """One event of the library, on whichever thread it happens, one at a time."""
        for listener in self._listeners:
            listener.event(kind, node, depth, item, n, frame, parent, time_ns, values, exception)
        self._now = time_ns / 1e9
        if self._began is None:
            self._begin(n)
        self._kinds[kind](node, item, n, frame, parent, values, exception)

    def finished(self, result: Any) -> None:
        """The run has ended well."""
        if self._began is None:
            self._begin(0)
        ended = monotonic() - self._began
        if self._request.map_over is not None:
            self._tell(self._path, self._callbacks, "on_map_end", ended)
        else:
            self._tell(self._path, self._callbacks, "on_pipeline_end", self._pipeline.id, result, ended)

    # ---- telling ----

    def _tell(self, path: tuple[str, ...], callbacks: tuple[Any, ...], hook: str, *args: Any) -> None:
        hooks = self._hooks.get(callbacks)
        if hooks is None:
            hooks = self._hooks[callbacks] = {h: _own_hooks(callbacks, h) for h in HOOKS}
        context = self._context
        for call in hooks[hook]:
            context._path = path
            try:
                call(*args, context)
            except Exception as error:
                key = (id(call.__self__), hook) if hasattr(call, "__self__") else (id(call), hook)
                if key not in self._reported:
                    self._reported.add(key)
                    _core.unraisable(error, call)

    def _begin(self, n: int) -> None:
        """Before the first event; a run that is refused for its inputs tells nothing."""
        self._began = monotonic()
        self._know(self._pipeline)
        if self._request.map_over is not None:
            self._tell(self._path, self._callbacks, "on_map_start", n)
            return
        way = self._ways[1] = _Way(self._pipeline, self._path, self._callbacks, self._inputs)
        self._start_pipeline(way)

    def _know(self, pipeline: Any) -> dict[str, Any]:
        """A pipeline's nodes by name; its metadata is there from then on."""
        nodes = self._nodes.get(pipeline.id)
        if nodes is None:
            nodes = self._nodes[pipeline.id] = {n.name: n for n in pipeline.nodes}
            told = {"total_nodes": len(nodes), "pipeline_name": pipeline.name, "node_ids": list(nodes)}
            self._context.set_pipeline_metadata(pipeline.id, told)
        return nodes

    def _start_pipeline(self, way: _Way) -> None:
        self._know(way.pipeline)
        way.began = self._now
        self._tell(way.path, way.callbacks, "on_pipeline_start", way.pipeline.id, way.inputs)

    def _end_pipeline(self, way: _Way, outputs: dict[str, Any]) -> None:
        if not way.failed:
            ended = self._now - way.began
            self._tell(way.path, way.callbacks, "on_pipeline_end", way.pipeline.id, outputs, ended)

    def _way(self, frame: int, parent: int, node: str) -> _Way:
        """The way that an event is on; a new number is that of the nested pipeline that its parent has opened."""
        way = self._ways.get(frame)
        if way is not None:
            return way
        outer = self._ways.get(parent)
        for nested in outer.nested.values() if outer is not None else ():
            if nested.way is not None and not nested.is_bound and node in self._know(nested.node.pipeline):
                nested.is_bound = True
                self._ways[frame] = nested.way
                return nested.way
        made = _Way(self._pipeline, self._path, self._callbacks, self._inputs)
        if frame:
            self._ways[frame] = made
        return made

    # ---- nodes ----

    def _node_start(self, node: str, item: int, n: int, frame: int, parent: int, values: Any, why: Any) -> None:
        way = self._way(frame, parent, node)
        way.ran = True
        way.starts[node] = self._now
        self._tell(way.path, way.callbacks, "on_node_start", node, values or {})
        made = self._know(way.pipeline).get(node)
        if not hasattr(made, "map_over"):
            return
        nested = way.nested[node] = _Nested(made, way, values or {})
        nested.began = self._now
        self._know(made.pipeline)
        self._tell(way.path, nested.callbacks, "on_nested_pipeline_start", way.pipeline.id, made.pipeline.id)
        if nested.way is not None:
            self._start_pipeline(nested.way)

    def _node_end(self, node: str, item: int, n: int, frame: int, parent: int, values: Any, why: Any) -> None:
        way = self._way(frame, parent, node)
        now, outputs = self._now, values or {}
        way.outputs.update(outputs)
        nested = way.nested.pop(node, None)
        if nested is not None:
            if nested.way is not None:
                back = {outer: inner for inner, outer in nested.node.output_mapping.items()}
                self._end_pipeline(nested.way, {back.get(k, k): v for k, v in outputs.items()})
            ids = (way.pipeline.id, nested.node.pipeline.id)
            self._tell(way.path, nested.callbacks, "on_nested_pipeline_end", *ids, now - nested.began)
            self._forget(nested)
        self._tell(way.path, way.callbacks, "on_node_end", node, outputs, now - way.starts.pop(node, now))

    def _forget(self, nested: _Nested) -> None:
        if nested.is_bound:
            for number in [k for k, w in self._ways.items() if w is nested.way]:
                del self._ways[number]

    def _node_error(self, node: str, item: int, n: int, frame: int, parent: int, values: Any, why: Any) -> None:
        way = self._way(frame, parent, node)
        way.failed = way.ran = True
        way.starts.pop(node, None)
        nested = way.nested.pop(node, None)
        if nested is not None:
            self._forget(nested)
        self._tell(way.path, way.callbacks, "on_error", node, why)

    def _node_cached(self, node: str, item: int, n: int, frame: int, parent: int, values: Any, why: Any) -> None:
        way = self._way(frame, parent, node)
        way.outputs.update(values or {})
        signature = getattr(self._know(way.pipeline).get(node), "code_hash", "")
        way.cached.append(signature)
        self._tell(way.path, way.callbacks, "on_node_cached", node, signature)

    def _batch(self, node: str, item: int, n: int, frame: int, parent: int, values: Any, why: Any) -> None:
        way = self._way(frame, parent, node)
        self._tell(way.path, way.callbacks, "on_batch", node, n)

    def _warning(self, text: str, *unused: Any) -> None:
        import warnings

        from houndstooth.pipeline import _outside

        warnings.warn(text, UserWarning, stacklevel=_outside())

    # ---- maps ----

    def _map_start(self, node: str, item: int, n: int, frame: int, parent: int, values: Any, why: Any) -> None:
        nested = self._way(frame, parent, node).nested.get(node)
        if nested is not None:
            self._tell(nested.path, nested.callbacks, "on_map_start", n)

    def _map_end(self, node: str, item: int, n: int, frame: int, parent: int, values: Any, why: Any) -> None:
        nested = self._way(frame, parent, node).nested.get(node)
        if nested is not None:
            self._tell(nested.path, nested.callbacks, "on_map_end", self._now - nested.began)

    def _item_start(self, node: str, item: int, n: int, frame: int, parent: int, values: Any, why: Any) -> None:
        nested = self._ways[parent].nested.get(node) if parent in self._ways else None
        if nested is not None:
            way = nested.item(item)
        else:
            over = self._request.map_over or ()
            inputs = _item_of(self._inputs, over, self._request.product, item)
            way = _Way(self._pipeline, self._path, self._callbacks, inputs)
        self._ways[frame] = way
        self._tell(way.path, way.callbacks, "on_map_item_start", item)
        self._start_pipeline(way)

    def _item_end(self, node: str, item: int, n: int, frame: int, parent: int, values: Any, why: Any) -> None:
        way = self._ways.pop(frame, None)
        if way is None:
            return
        self._end_pipeline(way, way.outputs)
        if way.cached and not way.ran:
            signature = hashlib.sha256("".join(way.cached).encode()).hexdigest()
            self._tell(way.path, way.callbacks, "on_map_item_cached", item, signature)
        else:
            self._tell(way.path, way.callbacks, "on_map_item_end", item, self._now - way.began)


def _own_hooks(callbacks: tuple[Any, ...], hook: str) -> list[Any]:
    """Bound hooks of callbacks that have their own."""
    found = []
    for callback in callbacks:
        call = getattr(callback, hook, None)
        if call is not None and getattr(call, "__func__", None) is not getattr(PipelineCallback, hook):
            found.append(call)
    return found


__all__ = ["CallbackContext", "Dispatcher", "PipelineCallback"]
