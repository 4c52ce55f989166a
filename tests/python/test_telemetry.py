"""Bars on a terminal, in lines and in notebooks; spans and the waterfall."""

from __future__ import annotations

import io
import re
import sys
from types import ModuleType
from typing import Any

import houndstooth as ht
import pytest
from houndstooth.telemetry import ProgressCallback, TelemetryCallback


@ht.node(output_name="b")
def first(a):
    return a + 1


@ht.node(output_name="c")
def second(b):
    return b * 2


@ht.node(output_name="total")
def added(cs):
    return sum(cs)


def nested() -> ht.Pipeline:
    inner = ht.Pipeline([first, second], name="inside")
    each = inner.as_node(name="each", map_over="xs", input_mapping={"xs": "a"}, output_mapping={"c": "cs"})
    return ht.Pipeline([each, added], name="outside")


def flat() -> ht.Pipeline:
    return ht.Pipeline([first, second], name="flat")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen_of(written: str) -> list[str]:
    """The lines that a terminal shows in the end."""
    rows: list[str] = []
    at = 0
    for part in re.split(r"(\033\[\d+A\r|\n)", written):
        up = re.fullmatch(r"\033\[(\d+)A\r", part)
        if up:
            at -= int(up[1])
            assert at >= 0
        elif part == "\n":
            at += 1
        elif part:
            rows[at : at + 1] = [part.replace("\033[K", "")]
    return rows


def counts_of(rows: list[str]) -> dict[str, str]:
    return {row.split()[0]: re.search(r"\d+/\d+", row)[0] for row in rows}


def test_bars_of_a_nested_map_on_a_terminal() -> None:
    file = Terminal()
    nested().run({"xs": list(range(30))}, engine=ht.SequentialEngine(callbacks=[ProgressCallback(file=file)]))
    rows = screen_of(file.getvalue())
    assert counts_of(rows) == {"each": "1/1", "first": "30/30", "second": "30/30", "added": "1/1"}
    assert rows[1].startswith("  first")
    assert all("█" * 20 in row for row in rows)


def test_a_fresh_map_has_bars_for_each_node_and_for_its_items() -> None:
    file = Terminal()
    flat().map({"a": list(range(30))}, "a", engine=ht.SequentialEngine(callbacks=[ProgressCallback(file=file)]))
    assert counts_of(screen_of(file.getvalue())) == {"flat": "30/30", "first": "30/30", "second": "30/30"}


def test_bars_of_other_engines() -> None:
    for engine in (ht.ThreadEngine, ht.ProcessEngine):
        file = Terminal()
        nested().map({"xs": [[1, 2], [3, 4, 5]]}, "xs", engine=engine(2, callbacks=[ProgressCallback(file=file)]))
        counts = counts_of(screen_of(file.getvalue()))
        assert counts == {"outside": "2/2", "each": "2/2", "first": "5/5", "second": "5/5", "added": "2/2"}


def test_lines_where_there_is_no_terminal() -> None:
    file = io.StringIO()
    engine = ht.SequentialEngine(callbacks=[ProgressCallback(file=file)])
    nested().run({"xs": list(range(30))}, engine=engine)
    flat().map({"a": list(range(30))}, "a", engine=engine)
    lines = file.getvalue().splitlines()
    assert lines[0] == "each: 30 items"
    assert re.fullmatch(r"each: done in \d+\.\d s", lines[1])
    assert lines[2] == "flat: 30 items"
    assert re.match(r"flat: 30/30  ", lines[3])
    assert len(lines) == 4


def test_hits_and_failures_are_marked() -> None:
    file = Terminal()
    engine = ht.SequentialEngine(cache=ht.MemoryCache(), callbacks=[ProgressCallback(file=file)])
    pipeline = flat()
    pipeline.map({"a": [1, 2]}, "a", engine=engine)
    file.truncate(0)
    pipeline.map({"a": [1, 2, 3, 4]}, "a", engine=engine)
    rows = screen_of(file.getvalue().lstrip("\0"))
    assert "50 % cached" in rows[1]

    @ht.node(output_name="c")
    def bad(b):
        return 1 // b

    file = Terminal()
    engine = ht.SequentialEngine(callbacks=[ProgressCallback(file=file)])
    ht.Pipeline([bad]).map({"b": [1, 0, 2]}, "b", errors="collect", engine=engine)
    assert "1 failed" in screen_of(file.getvalue())[1]


def test_a_run_that_fails_leaves_its_bars_drawn() -> None:
    @ht.node(output_name="c")
    def bad(b):
        return 1 // b

    file = Terminal()
    engine = ht.SequentialEngine(callbacks=[ProgressCallback(file=file, interval=1000)])
    with pytest.raises(ZeroDivisionError):
        ht.Pipeline([bad]).map({"b": [1, 0, 2]}, "b", engine=engine)
    assert "1 failed" in file.getvalue()


def test_disabled_it_writes_nothing(capsys) -> None:
    engine = ht.SequentialEngine(callbacks=[ProgressCallback(enable=False)])
    assert flat().map({"a": [1]}, "a", engine=engine) == [{"b": 2, "c": 4}]
    assert capsys.readouterr() == ("", "")


def test_standard_error_is_the_usual_place(capsys) -> None:
    flat().map({"a": [1]}, "a", engine=ht.SequentialEngine(callbacks=[ProgressCallback()]))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("flat: 1 items\n")


def test_a_file_that_cannot_be_written_ends_nothing(monkeypatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("no room")

    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: reported.append(told.exc_value))
    engine = ht.SequentialEngine(callbacks=[ProgressCallback(file=Full())])
    assert flat().map({"a": [1]}, "a", engine=engine) == [{"b": 2, "c": 4}]
    assert {str(e) for e in reported} == {"no room"}


def test_a_notebooks_output_is_drawn_in_place(monkeypatch) -> None:
    shown: list[str] = []

    class ZMQInteractiveShell: ...

    class Handle:
        def update(self, content: str) -> None:
            shown.append(content)

    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = ZMQInteractiveShell
    display.HTML = str
    display.display = lambda content, display_id: Handle()
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    flat().map({"a": [1, 2]}, "a", engine=ht.SequentialEngine(callbacks=[ProgressCallback()]))
    assert shown[-1].startswith("<pre")
    assert "2/2" in shown[-1]
    assert "\033" not in shown[-1]


def test_it_goes_beside_other_callbacks() -> None:
    ended: list[str] = []

    class Ends(ht.PipelineCallback):
        def on_node_end(self, node_id, outputs, duration, ctx):
            ended.append(node_id)

    file = Terminal()
    flat().run({"a": 1}, engine=ht.SequentialEngine(callbacks=[ProgressCallback(file=file), Ends()]))
    assert ended == ["first", "second"]
    assert counts_of(screen_of(file.getvalue())) == {"first": "1/1", "second": "1/1"}


# ---- spans ----


def test_spans_of_a_nested_map() -> None:
    telemetry = TelemetryCallback()
    nested().run({"xs": [1, 2]}, engine=ht.SequentialEngine(callbacks=[telemetry]))
    told = [(s["type"], s["name"], s["depth"], s["parent"], s["cached"]) for s in telemetry.span_data]
    item = [("node", "first", 2, "inside", False), ("node", "second", 2, "inside", False)]
    ends = [("pipeline", "inside", 1, "outside", False)]
    assert told == [
        *(*item, *ends, ("map_item", "item 0", 1, "outside", False)),
        *(*item, *ends, ("map_item", "item 1", 1, "outside", False)),
        ("map", "map of inside", 1, "outside", False),
        ("node", "each", 1, "outside", False),
        ("node", "added", 1, "outside", False),
        ("pipeline", "outside", 0, None, False),
    ]
    assert all(s["duration"] >= 0 and s["start_time"] > 1e9 for s in telemetry.span_data)


def test_cached_nodes_have_spans_and_items_may_have_none() -> None:
    telemetry = TelemetryCallback(trace_map_items=False)
    engine = ht.SequentialEngine(cache=ht.MemoryCache(), callbacks=[telemetry])
    pipeline = flat()
    pipeline.map({"a": [1]}, "a", engine=engine)
    telemetry.span_data.clear()
    pipeline.map({"a": [1]}, "a", engine=engine)
    assert [(s["name"], s["cached"]) for s in telemetry.span_data if s["type"] == "node"] == [
        ("first", True),
        ("second", True),
    ]
    assert not [s for s in telemetry.span_data if s["type"] == "map_item"]


def test_the_waterfall_is_of_the_last_run() -> None:
    telemetry = TelemetryCallback()
    with pytest.raises(ValueError, match="before a run"):
        telemetry.get_waterfall_chart()
    assert telemetry._repr_html_() is None
    engine = ht.SequentialEngine(callbacks=[telemetry])
    flat().run({"a": 1}, engine=engine)
    one = telemetry.trace
    nested().run({"xs": [1, 2, 3]}, engine=engine)
    assert telemetry.trace is engine.last_trace is not one
    names = {s[2] for s in telemetry.trace.spans()}
    assert {"each", "first", "second", "added"} <= names
    chart = telemetry.get_waterfall_chart("What ran")
    assert "What ran" in chart
    assert "added" in chart
    assert chart._repr_html_().startswith("<iframe")
    assert telemetry._repr_html_().startswith("<iframe")


def test_a_trace_of_the_callers_is_kept() -> None:
    engine = ht.SequentialEngine(trace=True)
    mine = engine.last_trace
    other = ht.SequentialEngine(trace=mine, callbacks=[TelemetryCallback()])
    flat().run({"a": 1}, engine=other)
    assert other.last_trace is mine
    assert mine.spans()


def test_spans_go_to_logfire() -> None:
    class Logfire:
        def __init__(self) -> None:
            self.spans: list[tuple[str, dict[str, Any]]] = []

        def span(self, name: str, **attributes: Any):
            self.spans.append((name, attributes))
            return io.StringIO()  # a context manager

    logfire = Logfire()
    flat().run({"a": 1}, engine=ht.SequentialEngine(callbacks=[TelemetryCallback(logfire_instance=logfire)]))
    assert [name for name, _ in logfire.spans] == ["first", "second", "flat"]
    assert logfire.spans[0][1]["type"] == "node"
    assert "logfire" not in sys.modules


def test_an_engine_shows_its_trace() -> None:
    with pytest.raises(ValueError, match="trace=True"):
        ht.SequentialEngine().waterfall()
    engine = ht.ThreadEngine(2, trace=True)
    nested().run({"xs": [1, 2]}, engine=engine)
    shown = engine.waterfall("A run")
    assert shown.format == "html"
    assert {"A run", "each", "added"} <= set(re.findall(r"A run|each|added", shown))
