"""Pipelines: nodes wired by name, run lazily, in batches, on any engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from houndstooth import _core
from houndstooth.node import Node, name_of

_MODES = {"zip": False, "product": True}
_PLAN_FORMATS = {"text": 0, "json": 1, "mermaid": 2, "dot": 3}


class GraphResult(NamedTuple):
    """A pipeline's wiring, by names."""

    output_to_node: dict[str, Any]
    execution_order: list[Any]
    root_args: list[str]
    available_output_names: list[str]
    dependencies: dict[Any, list[Any]]
    required_outputs: dict[Any, list[str]]


class Failure:
    """An item that failed, in its place of a map with ``errors="collect"``.

    Attributes
    ----------
    item : int
        Its index in the map.
    node : str
        The node that failed.
    error : BaseException
        What it raised.
    """

    __slots__ = ("item", "node", "error")

    def __init__(self, item: int, node: str, error: BaseException) -> None:
        self.item, self.node, self.error = item, node, error

    def __repr__(self) -> str:
        return f"Failure(item={self.item}, node={self.node!r}, error={self.error!r})"

    def __bool__(self) -> bool:
        return False


class Pipeline:
    """Nodes wired by name: a parameter that another node's output has the name of is an edge, others are inputs.

    Parameters
    ----------
    nodes : list of Node, DualNode, PipelineNode, Pipeline or function
    engine : engine
        What runs it; default ``SequentialEngine()``.
    name : str
        For messages, traces and pictures.
    strict_types : bool
        Whether an output whose annotation does not fit that of its reader is an error, instead of a warning.

    Raises
    ------
    TypeError
        Something among the nodes is none; with `strict_types`, types do not fit.
    DependencyError
        Two nodes have one output.
    CycleError
        Nodes need each other; the message has the path.
    """

    def __init__(
        self, nodes: Iterable[Any], engine: Any = None, name: str | None = None, strict_types: bool | None = False
    ) -> None:
        self.nodes = [_as_node(n) for n in nodes]
        self.engine = engine
        self.name = name
        self._nested = [n for n in self.nodes if isinstance(n, PipelineNode)]
        self._bound: dict[str, Any] = {}
        self._meets: bool | None = None
        self._cores: dict[bool, tuple[Any, Any]] = {}
        self._info: Any = None
        self._warned: set[str] = set()
        self._looked: set[str] = set()  # what was looked at once
        self._core(False)  # what cannot be wired is told here
        if strict_types is not None:  # None: a copy of one that was looked at
            from houndstooth._checks import check

            check(self, strict_types)

    def __reduce__(self) -> Any:
        return _rebuild, (self.nodes, self.engine, self.name, self._bound)

    # ---- the library's pipeline ----

    def _stamp(self) -> tuple[Any, ...]:
        """Changes when a nested pipeline does."""
        return tuple([n.pipeline._version() for n in self._nested]) if self._nested else ()

    def _version(self) -> tuple[Any, ...]:
        return (id(self), len(self._bound), tuple(map(id, self._bound.values())), id(self.engine), self._stamp())

    def _core(self, cached: bool) -> Any:
        """The pipeline in C; with the versions of its nodes where results are to be cached."""
        made = self._cores.get(cached)
        stamp = self._stamp()
        if made and made[1] == stamp:
            return made[0]
        core = _core.Pipeline(self.name or "pipeline")
        try:
            for n in self.nodes:
                n._add_to(core, cached)
            self._info = core.inspect()
            self._known_names = {i["name"] for i in self._info["inputs"]}
        except ValueError as error:
            raise _wiring_error(error) from None
        for name, value in self._bound.items():
            core.bind(name, value)
        self._cores[cached] = (core, stamp)
        return core

    def _holds_instances(self) -> bool:
        """Whether a body may meet an instance that no input of a run is."""
        if any(isinstance(v, _core.Instance) for v in self._bound.values()):
            return True
        if self._meets is None:
            self._meets = any(n._instances() for n in self.nodes if not isinstance(n, PipelineNode))
        return self._meets or any(n.pipeline._holds_instances() for n in self._nested)

    def _hears(self) -> bool:
        """Whether a nested pipeline's own engine has callbacks."""
        return any(getattr(n.pipeline.engine, "callbacks", None) or n.pipeline._hears() for n in self._nested)

    # ---- what it is ----

    @property
    def id(self) -> str:
        """What callbacks are told as its id; another one in each process."""
        return f"pipeline_{id(self)}"

    @property
    def graph(self) -> GraphResult:
        """Order, edges and names; the same for every order of the list of nodes."""
        self._core(False)
        maker = {output: n for n in self.nodes for output in n.outputs}
        order = list(dict.fromkeys(maker[output] for output in self._info["outputs"]))
        dependencies = {n: sorted({maker[a] for a in n.root_args if a in maker}, key=lambda d: d.name) for n in order}
        return GraphResult(maker, order, list(self.root_args), sorted(maker), dependencies, self._required_outputs())

    def _required_outputs(self) -> dict[Any, list[str]]:
        """Of each nested pipeline those that other nodes read; all of them where none is read."""
        read = {a for n in self.nodes for a in n.root_args}
        return {n: [o for o in n.outputs if o in read] or list(n.outputs) for n in self._nested}

    def _asked(self, output_name: Any) -> list[str] | None:
        """Outputs of a run by name; None for all. Unasked, a nested pipeline makes only what is read, if any is."""
        outputs = _names(output_name)
        if outputs is not None or not self._nested:
            return outputs
        required = self._required_outputs()
        if all(len(required[n]) == len(n.outputs) for n in self._nested):
            return None
        return [o for n in self.nodes for o in required.get(n, n.outputs)]

    @property
    def root_args(self) -> tuple[str, ...]:
        """Inputs that no node makes, by name, bound ones among them."""
        self._core(False)
        return tuple(i["name"] for i in self._info["inputs"])

    @property
    def available_output_names(self) -> tuple[str, ...]:
        """All outputs, by name."""
        self._core(False)
        return tuple(sorted(self._info["outputs"]))

    @property
    def bound_inputs(self) -> dict[str, Any]:
        """A copy of what `bind` was given."""
        return dict(self._bound)

    @property
    def unfulfilled_args(self) -> tuple[str, ...]:
        """Inputs that a run must still bring: neither bound nor defaulted."""
        self._core(False)
        return tuple(i["name"] for i in self._info["inputs"] if i["required"] and i["name"] not in self._bound)

    def __repr__(self) -> str:
        parts = [repr(self.name) if self.name else "Pipeline", f"{len(self.nodes)} nodes"]
        if self._bound:
            parts.append(f"bound=[{', '.join(self._bound)}]")
        needs = self.unfulfilled_args
        if needs:
            parts.append(f"needs=[{', '.join(needs)}]")
        return f"Pipeline({', '.join(parts)})"

    def _repr_html_(self) -> str:
        return self.visualize()._repr_html_()

    # ---- changing ----

    def bind(self, **inputs: Any) -> Pipeline:
        """Gives inputs values that a run's own override; returns the pipeline.

        Raises
        ------
        ValueError
            Nothing takes an input of that name; the message lists those that there are.
        """
        known = self.root_args
        for name in inputs:
            if name not in known:
                raise ValueError(f"nothing takes an input {name!r}; there are {', '.join(known) or 'none'}")
        self._bound = {**self._bound, **inputs}
        self._cores = {}
        return self

    def unbind(self, *names: str) -> Pipeline:
        """Forgets bound inputs, all of them without a name; returns the pipeline."""
        self._bound = {k: v for k, v in self._bound.items() if names and k not in names}
        self._cores = {}
        return self

    def with_engine(self, engine: Any) -> Pipeline:
        """Sets what runs it; returns the pipeline."""
        self.engine = engine
        return self

    def with_name(self, name: str) -> Pipeline:
        """Sets its name; returns the pipeline."""
        self.name = name
        self._cores = {}
        return self

    def copy(self) -> Pipeline:
        """Another pipeline of the same nodes, engine, name and bound inputs."""
        made = Pipeline(self.nodes, self.engine, self.name, None)
        made._bound = dict(self._bound)
        made._cores = {}
        return made

    def as_node(
        self,
        input_mapping: dict[str, str] | None = None,
        output_mapping: dict[str, str] | None = None,
        map_over: str | Iterable[str] | None = None,
        map_mode: str = "zip",
        name: str | None = None,
        cache: bool = True,
    ) -> PipelineNode:
        """The pipeline as a node of another one.

        Parameters
        ----------
        input_mapping : {outer: inner}
        output_mapping : {inner: outer}
            Only these outputs are shown then.
        map_over : str or list of str
            Outer names whose elements are the items; each output becomes a list, empty for no items.
        map_mode : "zip" or "product"
        name : str
            Default: the pipeline's.
        cache : bool
            Whether what is inside may be kept by an engine with a cache.

        Raises
        ------
        ValueError
            A mapping or `map_over` names what there is not; the message has the names that there are.
        """
        return PipelineNode(self, input_mapping, output_mapping, map_over, map_mode, name, cache)

    # ---- running ----

    def run(self, inputs: dict[str, Any] | None = None, output_name: Any = None, engine: Any = None) -> dict[str, Any]:
        """Runs once.

        Parameters
        ----------
        inputs : dict
            Values by name; they override bound ones.
        output_name : str or list of str
            Only these outputs, and only the nodes and inputs that they need.
        engine : engine
            For this run only.

        Returns
        -------
        dict
            The nodes' outputs, in the order in which they ran. Of a nested pipeline that other nodes read from, only
            what they read, unless `output_name` asks for more.

        Raises
        ------
        ValueError
            An input is missing (all of them are named) or an output is unknown (the choices are named).
        """
        return self._one(inputs, output_name, engine)

    def _one(self, inputs: Any, output_name: Any, engine: Any, result: Any = None) -> dict[str, Any]:
        outputs = self._asked(output_name)
        if outputs is not None and not outputs:
            return {}
        return _engine_of(engine or self.engine)._run(self, dict(inputs or {}), outputs, Request(result=result))

    def map(
        self,
        inputs: dict[str, Any] | None = None,
        map_over: str | Iterable[str] | None = None,
        map_mode: str = "zip",
        output_name: Any = None,
        engine: Any = None,
        errors: str = "raise",
    ) -> list[Any]:
        """Runs for every item; the results in input order.

        Parameters
        ----------
        inputs : dict
        map_over : str or list of str
            Inputs whose elements are the items: lists, tuples, ranges, arrays, Series, any iterable.
        map_mode : "zip" or "product"
            Element by element, lengths must agree; or every combination, the last listed varies fastest.
        output_name, engine
            As of `run`.
        errors : "raise" or "collect"
            A `Failure` stands in the place of each item that fails, instead of an exception.

        Returns
        -------
        list of dict
            As `run`'s, one an item.

        Raises
        ------
        ValueError
            `map_over` names no input, lists that are mapped together differ in length, an option is unknown.
        what a node raises
            With a note of the node and the item; the items after it may not have run.
        """
        return self._every(inputs, self._request(map_over, map_mode, errors), output_name, engine)

    def _request(self, map_over: Any, map_mode: str, errors: str) -> Request:
        return Request(map_over=self._over(map_over), product=_mode(map_mode), collect=_collect(errors))

    def _every(self, inputs: Any, request: Request, output_name: Any, engine: Any) -> list[Any]:
        outputs = _names(output_name)
        run = _engine_of(engine or self.engine)._run
        # Not kept in a variable: an exception among the results may hold this frame.
        return _with_failures(run(self, dict(inputs or {}), outputs, request), request.collect)

    def stream(
        self,
        inputs: dict[str, Any] | None = None,
        map_over: str | Iterable[str] | None = None,
        map_mode: str = "zip",
        output_name: Any = None,
        engine: Any = None,
        errors: str = "raise",
    ) -> Iterator[Any]:
        """Results of `map` one by one, in order, as soon as each is there; no more than a window is kept.

        Parameters and errors as of `map`; leaving the loop ends the run.
        """
        from houndstooth._stream import stream

        request = self._request(map_over, map_mode, errors)
        return stream(self, dict(inputs or {}), self._asked(output_name), _engine_of(engine or self.engine), request)

    async def arun(
        self, inputs: dict[str, Any] | None = None, output_name: Any = None, engine: Any = None
    ) -> dict[str, Any]:
        """`run` for callers with an event loop: coroutines of the pipeline run on it.

        Cancelling it cancels them, starts no further node, and waits until the run has ended.
        """
        from houndstooth._loop import run_in_thread

        return await run_in_thread(lambda stop: self._one(inputs, output_name, engine, (None, stop)))

    async def amap(
        self,
        inputs: dict[str, Any] | None = None,
        map_over: str | Iterable[str] | None = None,
        map_mode: str = "zip",
        output_name: Any = None,
        engine: Any = None,
        errors: str = "raise",
    ) -> list[Any]:
        """`map` for callers with an event loop, as `arun` is `run`."""
        from houndstooth._loop import run_in_thread

        request = self._request(map_over, map_mode, errors)
        return await run_in_thread(
            lambda stop: self._every(inputs, request._replace(result=(None, stop)), output_name, engine)
        )

    def _over(self, map_over: Any) -> tuple[str, ...]:
        over = _names(map_over)
        if not over:
            known = ", ".join(self.root_args)
            raise ValueError(f"map needs map_over: the inputs whose elements are the items, of {known}")
        if "made" not in self._looked:
            from houndstooth._checks import check_made

            self._looked.add("made")
            check_made(self)
        return tuple(over)

    def _known(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Inputs that something takes; others are warned of once."""
        self._core(False)
        if len(inputs) > 1 and "inputs" not in self._looked:
            from houndstooth._checks import check_inputs

            self._looked.add("inputs")
            check_inputs(self, {**self._bound, **inputs})
        if inputs.keys() <= self._known_names:
            return inputs
        made = set(self._info["outputs"])
        kept = {k: v for k, v in inputs.items() if k in self._known_names or k in made}
        unused = sorted(inputs.keys() - kept.keys() - self._warned)
        if unused:
            self._warned.update(unused)
            import warnings

            text = f"nothing in {self.name or 'the pipeline'} takes {', '.join(map(repr, unused))}"
            warnings.warn(text, UserWarning, stacklevel=_outside())
        return kept

    # ---- seeing ----

    def explain(self, inputs: Iterable[str] | None = None, output_name: Any = None, format: str = "text") -> str:
        """What would run: steps in order, what is batched, what is mapped; "text", "json", "mermaid" or "dot"."""
        if format not in _PLAN_FORMATS:
            raise ValueError(f"format is one of {', '.join(_PLAN_FORMATS)}, not {format!r}")
        given = list(self.root_args) if inputs is None else list(inputs)
        text = self._core(False).plan(self._asked(output_name), given, _PLAN_FORMATS[format])
        return text + "".join(self._lifted()) if format == "text" else text

    def _lifted(self) -> Iterator[str]:
        for n in self.nodes:
            if isinstance(n, PipelineNode):
                yield from n.pipeline._lifted()
            else:
                for line in n._lifted:
                    yield f"{n.name}: {line}\n"

    def visualize(
        self,
        filename: str | None = None,
        depth: int | None = 1,
        orient: str = "TB",
        style: str = "default",
        title: str | None = None,
        run: Any = None,
        format: str | None = None,
        **ignored: Any,
    ) -> Any:
        """A picture of the pipeline; see `houndstooth.viz.visualize`."""
        from houndstooth.viz import visualize

        return visualize(self, filename, depth, orient, style, title, run, format, **ignored)


class Request(NamedTuple):
    """What a run is asked beside inputs and outputs."""

    map_over: tuple[str, ...] | None = None
    product: bool = False
    collect: bool = False
    result: Any = None


class PipelineNode:
    """A pipeline as a node, made by `Pipeline.as_node`. Called with outer inputs it runs with its own engine."""

    def __init__(
        self,
        pipeline: Pipeline,
        input_mapping: dict[str, str] | None = None,
        output_mapping: dict[str, str] | None = None,
        map_over: Any = None,
        map_mode: str = "zip",
        name: str | None = None,
        cache: bool = True,
    ) -> None:
        self.pipeline = pipeline
        self.input_mapping = dict(input_mapping or {})
        self.output_mapping = dict(output_mapping or {})
        self.map_over = tuple(_names(map_over) or ())
        self.map_mode = map_mode
        self.name = name or pipeline.name or "pipeline"
        self.cache = cache
        _mode(map_mode)
        self._check()

    def _check(self) -> None:
        inner, outputs = self.pipeline.root_args, self.pipeline.available_output_names
        back = {name: outer for outer, name in self.input_mapping.items()}
        names = [back.get(n, n) for n in inner]
        for outer, name in self.input_mapping.items():
            if name not in inner:
                raise ValueError(
                    f"'{self.name}': input_mapping {{{outer!r}: {name!r}}}: the pipeline has no input {name!r}; "
                    f"there are {', '.join(inner)}"
                )
        for name in self.output_mapping:
            if name not in outputs:
                raise ValueError(
                    f"'{self.name}': output_mapping names {name!r}, which is no output; there are {', '.join(outputs)}"
                )
        for name in self.map_over:
            if name not in names:
                raise ValueError(
                    f"'{self.name}': map_over names {name!r}, which is no input; there are {', '.join(names)}"
                )

    @property
    def root_args(self) -> tuple[str, ...]:
        """Outer names of the inputs that it asks for."""
        back = {inner: outer for outer, inner in self.input_mapping.items()}
        names = [back.get(n, n) for n in self.pipeline.root_args if n not in self.pipeline._bound]
        return tuple(names + [n for n in self.map_over if n not in names])

    @property
    def outputs(self) -> tuple[str, ...]:
        """Outer names of its outputs."""
        if self.output_mapping:
            return tuple(self.output_mapping.values())
        return self.pipeline.available_output_names

    @property
    def output_name(self) -> tuple[str, ...]:
        """The same as `outputs`."""
        return self.outputs

    @property
    def bound_inputs(self) -> dict[str, Any]:
        """The inner pipeline's, by inner names."""
        return self.pipeline.bound_inputs

    @property
    def unfulfilled_args(self) -> tuple[str, ...]:
        """Outer names of the inputs that a run must still bring."""
        back = {inner: outer for outer, inner in self.input_mapping.items()}
        return tuple(back.get(n, n) for n in self.pipeline.unfulfilled_args)

    def _instances(self) -> bool:
        return self.pipeline._holds_instances()

    def _add_to(self, core: Any, cached: bool) -> None:
        engine = self.pipeline.engine
        own = _engine_of(engine)._settings() if engine is not None else None
        cached = (cached or getattr(engine, "cache", None) is not None) and self.cache
        core.add_pipeline(
            self.pipeline._core(cached),
            self.name,
            self.input_mapping or None,
            self.output_mapping or None,
            self.map_over or None,
            _mode(self.map_mode),
            own,
        )

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        outer = Pipeline([self], engine=self.pipeline.engine)
        return outer.run(inputs=inputs)

    def __repr__(self) -> str:
        over = f", map_over={list(self.map_over)}" if self.map_over else ""
        return f"PipelineNode({self.name}({', '.join(self.root_args)}) -> {', '.join(self.outputs)}{over})"


# ---- helpers ----


def _rebuild(nodes: list[Any], engine: Any, name: str | None, bound: dict[str, Any]) -> Pipeline:
    made = Pipeline(nodes, engine, name, None)
    made._bound, made._cores = bound, {}
    return made


def _as_node(made: Any) -> Any:
    if isinstance(made, (Node, PipelineNode)):
        return made
    if isinstance(made, Pipeline):
        return made.as_node()
    if callable(made) and not isinstance(made, type):
        return Node(made)
    raise TypeError(f"a node, pipeline or function is wanted, not a {type(made).__name__}: {made!r}")


def _names(names: Any) -> list[str] | None:
    if names is None:
        return None
    return [names] if isinstance(names, str) else list(names)


def _mode(mode: str) -> bool:
    if mode not in _MODES:
        raise ValueError(f"map_mode is 'zip' or 'product', not {mode!r}")
    return _MODES[mode]


def _collect(errors: str) -> bool:
    if errors not in ("raise", "collect"):
        raise ValueError(f"errors is 'raise' or 'collect', not {errors!r}")
    return errors == "collect"


def _with_failures(results: list[Any], collected: bool = True) -> list[Any]:
    if not collected:
        return results
    made = []
    for r in results:
        failed = getattr(r, "_failure", None) if isinstance(r, _core.Value) else None
        made.append(Failure(*failed) if failed else r)
    return made


def _outside() -> int:
    """The number of frames up to the first one outside this package, for warnings."""
    import sys

    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == "houndstooth":
        frame = frame.f_back
        level += 1
    return level


def _wiring_error(error: ValueError) -> Exception:
    from houndstooth.exceptions import CycleError, DependencyError

    text = str(error)
    if "cycle" in text:
        return CycleError(text)
    if "two nodes" in text or "already" in text:
        return DependencyError(text)
    return error


def _engine_of(engine: Any) -> Any:
    from houndstooth.engines import default_engine, foreign_engine

    if engine is None:
        return default_engine()
    return engine if hasattr(engine, "_run") else foreign_engine(engine)


__all__ = ["Failure", "GraphResult", "Pipeline", "PipelineNode", "Callable", "name_of"]
