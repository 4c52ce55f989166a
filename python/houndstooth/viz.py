"""Pictures of pipelines: one self-contained SVG or HTML page, or text for other tools."""

from __future__ import annotations

import html
import os
import warnings
from typing import Any

from houndstooth import _core
from houndstooth.pipeline import _outside

_DRAWN = {"svg": 0, "html": 1}
_PRINTED = {"txt": 0, "json": 1, "mmd": 2, "dot": 3}
_ENDINGS = {"htm": "html", "gv": "dot", "mermaid": "mmd", "text": "txt"}
_ORIENTS = {"LR": 0, "TB": 1, "TD": 1}
_STYLES = {"light": 0, "dark": 1, "default": 2, "auto": 2}
# What HyperNodes' visualize takes beside these; what has no meaning here changes nothing.
_OTHERS = frozenset(
    "engine separate_outputs flatten group_inputs show_legend show_types return_type interactive output_name".split()
)


class Picture(str):
    """A picture as text, which notebooks show.

    Attributes
    ----------
    format : str
        "svg", "html", "dot", "mmd", "json" or "txt".
    """

    format: str

    def __new__(cls, text: str, format: str) -> Picture:
        made = super().__new__(cls, text)
        made.format = format
        return made

    def _repr_html_(self) -> str:
        if self.format == "svg":
            return str(self)
        if self.format == "html":
            page = html.escape(self, quote=True)
            return f'<iframe srcdoc="{page}" style="width:100%;height:480px;border:0"></iframe>'
        return f"<pre>{html.escape(self)}</pre>"

    def save(self, filename: Any) -> None:
        """Writes it to a file as it is."""
        with open(filename, "w", encoding="utf-8") as file:
            file.write(self)

    def __repr__(self) -> str:
        return f"<{self.format} of {len(self)} characters>"

    def __reduce__(self) -> Any:
        return Picture, (str(self), self.format)


def visualize(
    pipeline: Any,
    filename: Any = None,
    depth: int | None = 1,
    orient: str = "TB",
    style: str = "default",
    title: str | None = None,
    run: Any = None,
    format: str | None = None,
    **others: Any,
) -> Picture:
    """Draws a pipeline.

    Parameters
    ----------
    pipeline : Pipeline
    filename : str or path
        Written too; its ending (.svg, .html, .dot, .mmd, .json, .txt) says the format, without one it is an SVG.
    depth : int or None
        Levels that are open: at 1 a nested pipeline is one box; None: all. A page opens the others by a click.
    orient : "TB" or "LR"
        Values flow down, or to the right.
    style : "default", "light" or "dark"
        Default: as the reader's scheme is.
    title : str
        Default: the pipeline's name.
    run : engine or Trace
        One that was made with ``trace=True`` and has run the pipeline: times and counts stand on the nodes.
    format : str
        The format where no file name says it; default "svg", "html" with ``interactive=True``.
    output_name : str or list of str
        Only what these outputs need.
    **others
        HyperNodes' other options: ``interactive`` and ``engine="ipywidget"`` make a page, ``flatten`` opens all levels.

    Returns
    -------
    Picture
        A str of the whole text, which notebooks show.
    """
    unknown = sorted(set(others) - _OTHERS)
    if unknown:
        warnings.warn(f"visualize has no option {', '.join(unknown)}", UserWarning, stacklevel=_outside())
    chosen = _format_of(filename, format, others)
    core, given = pipeline._core(False), [n for n in pipeline.root_args if n not in pipeline.bound_inputs]
    outputs = others.get("output_name")
    outputs = [outputs] if isinstance(outputs, str) else outputs
    if chosen in _PRINTED:
        text = core.plan(outputs, given, _PRINTED[chosen])
    else:
        levels = 0 if others.get("flatten") else _levels(depth)
        look = (_one_of(_ORIENTS, orient, "orient"), _style_of(style), levels)
        text = core.draw(outputs, given, _DRAWN[chosen], *look, title or pipeline.name, _trace_of(run, pipeline))
    made = Picture(text, chosen)
    if filename is not None:
        made.save(filename if os.path.splitext(os.fspath(filename))[1] else f"{os.fspath(filename)}.{chosen}")
    return made


def _one_of(choices: dict[str, int], value: Any, what: str) -> int:
    if value not in choices:
        raise ValueError(f"{what} is one of {', '.join(map(repr, choices))}, not {value!r}")
    return choices[value]


def _levels(depth: int | None) -> int:
    if depth is None:
        return 0
    if not isinstance(depth, int) or depth < 1:
        raise ValueError(f"depth is a number of levels from 1 on, or None for all, not {depth!r}")
    return depth


def _style_of(style: Any) -> int:
    if not isinstance(style, str) or style not in _STYLES:
        text = f"there is no style {style!r}: it is drawn as 'default'; others are 'light' and 'dark'"
        warnings.warn(text, UserWarning, stacklevel=_outside())
        return _STYLES["default"]
    return _STYLES[style]


def _format_of(filename: Any, format: str | None, others: dict[str, Any]) -> str:
    ending = os.path.splitext(os.fspath(filename))[1][1:].lower() if filename is not None else ""
    is_page = others.get("interactive") or others.get("engine") == "ipywidget"
    said = format or ending or ("html" if is_page else "svg")
    said = _ENDINGS.get(said, said)
    if said not in _DRAWN and said not in _PRINTED:
        raise ValueError(f"a picture is {', '.join([*_DRAWN, *_PRINTED])}, not {said!r}")
    return said


def _trace_of(run: Any, pipeline: Any) -> Any:
    if run is None or run is False:
        return None
    if run is True:
        run = pipeline.engine
    trace = run if isinstance(run, _core.Trace) else getattr(run, "last_trace", None)
    if not isinstance(trace, _core.Trace):
        raise ValueError("run is an engine that was made with trace=True and has run the pipeline, or its last_trace")
    return trace


__all__ = ["Picture", "visualize"]
