"""Pictures: formats, files, options, times of a run, and text that stands alone."""

from __future__ import annotations

import json
import pickle
import re
import xml.etree.ElementTree as ET
from importlib.util import find_spec
from pathlib import Path

import houndstooth as ht
import pytest
from houndstooth.viz import Picture


@ht.node(output_name="b")
def first(a):
    return a + 1


@ht.node(output_name="c")
def second(b, factor):
    return b * factor


@ht.node(output_name="total")
def added(cs):
    return sum(cs)


def pipeline() -> ht.Pipeline:
    inner = ht.Pipeline([first, second], name="inside")
    each = inner.as_node(name="each", map_over="xs", input_mapping={"xs": "a"}, output_mapping={"c": "cs"})
    return ht.Pipeline([each, added], name="outside").bind(factor=3)


def texts(svg: str) -> set[str]:
    return {t.strip() for e in ET.fromstring(svg).iter() for t in (e.text or "", e.tail or "") if t.strip()}


def test_an_svg_by_default() -> None:
    picture = pipeline().visualize()
    assert picture.format == "svg"
    assert picture._repr_html_() == str(picture)
    shown = " ".join(texts(picture))
    assert {"each", "added", "total", "xs"} <= set(re.findall(r"\w+", shown))
    assert "second" not in shown


def test_depth_opens_levels() -> None:
    for depth in (2, None):
        assert {"first", "second"} <= set(re.findall(r"\w+", " ".join(texts(pipeline().visualize(depth=depth)))))
    assert pipeline().visualize(flatten=True) == pipeline().visualize(depth=None)
    for wrong in (0, -1, "two"):
        with pytest.raises(ValueError, match="depth is a number of levels"):
            pipeline().visualize(depth=wrong)


def test_orient_turns_it() -> None:
    def size(svg: str) -> tuple[float, float]:
        box = ET.fromstring(svg).attrib["viewBox"].split()
        return float(box[2]), float(box[3])

    wide, tall = size(pipeline().visualize(orient="LR")), size(pipeline().visualize(orient="TB"))
    assert wide[0] > tall[0]
    assert tall[1] > wide[1]
    with pytest.raises(ValueError, match="orient is one of 'LR', 'TB', 'TD', not 'XX'"):
        pipeline().visualize(orient="XX")


def test_bound_inputs_show_their_values() -> None:
    assert "= 3" in texts(pipeline().visualize())
    assert "= 3" not in texts(pipeline().unbind().visualize())


@pytest.mark.parametrize(
    ("name", "format", "start"),
    [
        ("p.svg", "svg", "<svg"),
        ("p.html", "html", "<!doctype html>"),
        ("p.htm", "html", "<!doctype html>"),
        ("p.dot", "dot", "digraph"),
        ("p.gv", "dot", "digraph"),
        ("p.mmd", "mmd", "flowchart"),
        ("p.json", "json", "{"),
        ("p.txt", "txt", "1. each"),
        ("plain", "svg", "<svg"),
    ],
)
def test_files_by_their_ending(tmp_path: Path, name: str, format: str, start: str) -> None:
    picture = pipeline().visualize(tmp_path / name)
    written = tmp_path / (name if "." in name else name + ".svg")
    assert written.read_text() == picture
    assert picture.format == format
    assert picture.startswith(start)
    assert [f.name for f in tmp_path.iterdir()] == [written.name]


def test_unknown_formats_are_refused(tmp_path: Path) -> None:
    for wrong in ("p.png", "p.pdf"):
        with pytest.raises(ValueError, match="a picture is svg, html, txt, json, mmd, dot, not"):
            pipeline().visualize(tmp_path / wrong)
    with pytest.raises(ValueError, match="not 'gif'"):
        pipeline().visualize(format="gif")
    assert list(tmp_path.iterdir()) == []


def test_pages_for_notebooks_need_nothing_from_elsewhere() -> None:
    for picture in (
        pipeline().visualize(interactive=True),
        pipeline().visualize(engine="ipywidget"),
        pipeline().visualize(format="html"),
    ):
        assert picture.format == "html"
        assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", picture)
        assert "@import" not in picture
        shown = picture._repr_html_()
        assert shown.startswith("<iframe srcdoc=")
        assert "<script" not in shown


def test_json_is_the_plan() -> None:
    plan = json.loads(pipeline().visualize(format="json"))
    assert [s["name"] for s in plan["steps"]] == ["each", "added"]


def test_only_what_an_output_needs() -> None:
    assert "added" not in " ".join(texts(pipeline().visualize(output_name="cs")))


def test_times_of_a_run_stand_on_the_nodes() -> None:
    engine = ht.SequentialEngine(trace=True)
    made = pipeline().with_engine(engine)
    before = made.visualize(depth=None)
    made.run({"xs": list(range(7))})
    for after in (made.visualize(depth=None, run=engine), made.visualize(depth=None, run=True)):
        assert "7" in " ".join(texts(after) - texts(before))
    assert made.visualize(depth=None, run=engine.last_trace) == after
    with pytest.raises(ValueError, match="trace=True"):
        made.visualize(run=ht.SequentialEngine())


def test_options_of_hypernodes_are_taken_and_others_warned_of(recwarn) -> None:
    pipeline().visualize(show_types=False, group_inputs=True, show_legend=True, separate_outputs=False)
    assert not recwarn.list
    with pytest.warns(UserWarning, match="no option nothing") as told:
        pipeline().visualize(nothing=1)
    assert told[0].filename == __file__
    with pytest.warns(UserWarning, match="no style 'neon'"):
        assert pipeline().visualize(style="neon") == pipeline().visualize()
    assert len({pipeline().visualize(style=s) for s in ("light", "dark", "default")}) == 3


def test_a_pipeline_shows_itself_in_a_notebook() -> None:
    assert pipeline()._repr_html_() == str(pipeline().visualize())


def test_a_picture_is_text() -> None:
    picture = Picture("<a>", "dot")
    assert picture == "<a>"
    assert picture._repr_html_() == "<pre>&lt;a&gt;</pre>"
    assert repr(picture) == "<dot of 3 characters>"
    again = pickle.loads(pickle.dumps(picture))
    assert (again, again.format) == (picture, "dot")


def test_names_where_hypernodes_has_them() -> None:
    from houndstooth.integrations.daft import DAFT_AVAILABLE, DaftEngine
    from houndstooth.integrations.daft.engine import DaftEngine as Same

    assert DaftEngine is Same is ht.DaftEngine
    assert DAFT_AVAILABLE is (find_spec("daft") is not None)
    with pytest.raises(ImportError):
        from houndstooth.integrations.daft import nothing  # noqa: F401
