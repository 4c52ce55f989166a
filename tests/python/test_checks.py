"""What is told before a run, with the line of the user's node; and what is not told."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal, NewType, Optional, Protocol, TypeVar

import houndstooth as ht
import pytest
from houndstooth._checks import fits

T = TypeVar("T")
Id = NewType("Id", int)


class Walks(Protocol):
    def walk(self) -> None: ...


class Animal: ...


class Dog(Animal): ...


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (int, int),
        (bool, int),
        (int, float),
        (Dog, Animal),
        (Animal, Dog),
        (list, Sequence),
        (list[int], list[float]),
        (list[int], list),
        (list[int], Sequence[str]),  # not looked at that closely
        (dict[str, int], dict[str, Any]),
        (tuple[int, str], tuple),
        (int, int | None),
        (Optional[int], int),  # noqa: UP045
        (int | str, str),
        (None, Optional[str]),  # noqa: UP045
        (Any, int),
        (int, object),
        (T, int),
        (str, Walks),
        (Id, int),
        (int, Id),
        (Literal["a", "b"], str),
        (Literal["a", 1], int),
        (list, ht.Series),
    ],
)
def test_what_fits(given: Any, wanted: Any) -> None:
    assert fits(given, wanted)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (str, int),
        (float, int),
        (list[int], list[str]),
        (dict[str, int], dict[int, int]),
        (list, dict),
        (tuple, list),
        (int | bytes, str | list),
        (None, int),
        (Id, str),
        (Literal["a"], int),
        (list[list[int]], list[list[str]]),
    ],
)
def test_what_does_not(given: Any, wanted: Any) -> None:
    assert not fits(given, wanted)


@ht.node(output_name="count")
def counted(texts: list[str]) -> int:
    return len(texts)


@ht.node(output_name="shout")
def shouted(count: str) -> str:
    return count.upper()


def line_of(node: ht.Node) -> int:
    return node.func.__code__.co_firstlineno


def told(make) -> list[tuple[str, str, int]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make()
    return [(str(w.message), w.filename, w.lineno) for w in caught]


def test_types_that_do_not_fit_are_told_at_the_reader() -> None:
    text = "'shouted' takes count: str, but 'counted' gives int"
    assert told(lambda: ht.Pipeline([counted, shouted])) == [(text, __file__, line_of(shouted))]
    with pytest.raises(TypeError, match=text):
        ht.Pipeline([counted, shouted], strict_types=True)


def test_it_is_told_once_by_pythons_usual_rules() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            ht.Pipeline([counted, shouted]).copy()
    assert len(caught) == 1


def test_parts_of_tuples_and_mapped_pipelines() -> None:
    @ht.node(output_name=("n", "s"))
    def two(x: int) -> tuple[int, str]:
        return x, str(x)

    @ht.node(output_name="length")
    def length(s: int) -> int:
        return s

    assert [t for t, _, _ in told(lambda: ht.Pipeline([two, length]))] == ["'length' takes s: int, but 'two' gives str"]

    @ht.node(output_name="xs")
    def numbers(k: int) -> list[str]:
        return ["a"] * k

    @ht.node(output_name="total")
    def total(ys: list[str]) -> str:
        return "".join(ys)

    @ht.node(output_name="y")
    def double(x: int) -> int:
        return 2 * x

    each = ht.Pipeline([double], name="each").as_node(
        map_over="xs", input_mapping={"xs": "x"}, output_mapping={"y": "ys"}
    )
    assert [t for t, _, _ in told(lambda: ht.Pipeline([numbers, each, total]))] == [
        "'each' takes xs: many of int, but 'numbers' gives list[str]",
        "'total' takes ys: list[str], but 'each' gives list[int]",
    ]


def test_what_has_no_annotation_or_none_that_can_be_read_is_not_told() -> None:
    @ht.node(output_name="a")
    def one(x) -> Unknown:  # noqa: F821
        return x

    @ht.node(output_name="b")
    def two(a: int):
        return a

    @ht.node(output_name="c")
    def three(b: str):
        return b

    assert told(lambda: ht.Pipeline([one, two, three], strict_types=True)) == []


# ---- names ----


@ht.node(output_name="y")
def scaled(x, factor):
    return x * factor


@ht.node(output_name="z")
def shifted(y, factor):
    return y + factor


def test_a_name_that_is_bound_inside_and_used_outside() -> None:
    inner = ht.Pipeline([scaled], name="inner").bind(factor=3)
    text = "'factor' is bound inside 'inner', which does not see the 'factor' around it"
    assert told(lambda: ht.Pipeline([inner.as_node(), shifted])) == [(text, __file__, line_of(scaled))]
    renamed = inner.as_node(input_mapping={"inside": "factor"})
    assert told(lambda: ht.Pipeline([renamed, shifted])) == []


def test_a_name_that_goes_in_twice_is_an_error() -> None:
    inner = ht.Pipeline([scaled], name="inner")
    with pytest.raises(ValueError, match="input 'factor' stands twice"):
        ht.Pipeline([inner.as_node(input_mapping={"factor": "x"})])
    swapped = inner.as_node(input_mapping={"factor": "x", "x": "factor"})
    assert told(lambda: ht.Pipeline([swapped])) == []


# ---- what loads ----


class Model:
    def __init__(self, name: str) -> None:
        self.name, self._model = name, None

    def _ensure_loaded(self) -> None:
        self._model = object()


class Light:
    def __init__(self, name: str) -> None:
        self.name = name


@ht.cls
class Decorated:
    def load(self) -> None: ...


@ht.node(output_name="m")
def makes(x):
    return Model(x).name


@ht.node(output_name="m")
def makes_light(x):
    return Light(x).name, Decorated()


@ht.node(output_name="m")
def takes(x, one, two):
    return x


def test_a_model_that_is_made_for_each_item() -> None:
    text = (
        "'makes' makes a Model, which loads, for each item: decorate the class with houndstooth.cls, so that it "
        "loads once, or make it outside"
    )
    where = (text, __file__, line_of(makes))
    assert told(lambda: ht.Pipeline([ht.Pipeline([makes], name="i").as_node(map_over="x")])) == [where]
    pipeline = ht.Pipeline([makes])
    assert told(lambda: pipeline.run({"x": "a"})) == []
    assert told(lambda: pipeline.map({"x": ["a", "b"]}, "x")) == [where]
    assert told(lambda: pipeline.map({"x": ["a", "b"]}, "x")) == []
    assert told(lambda: ht.Pipeline([makes_light]).map({"x": ["a"]}, "x")) == []


def test_two_equal_models_among_the_inputs() -> None:
    def run(one: Any, two: Any):
        return lambda: ht.Pipeline([takes]).run({"x": 1, "one": one, "two": two})

    text = (
        "'one' and 'two' are two Model of the same arguments, which both load: give one object, or decorate the class "
        "with houndstooth.cls"
    )
    assert told(run(Model("m"), Model("m"))) == [(text, __file__, line_of(takes))]
    same = Model("m")
    for one, two in ((same, same), (Model("m"), Model("n")), (Light("m"), Light("m")), ([1], [1])):
        assert told(run(one, two)) == []
    bound = ht.Pipeline([takes]).bind(one=Model("m"))
    assert len(told(lambda: bound.run({"x": 1, "two": Model("m")}))) == 1


def test_a_chain_of_a_thousand_nodes_is_built_quickly() -> None:
    import time

    functions = []
    for i in range(1000):
        space: dict[str, Any] = {}
        exec(f"def f{i}(v{i}): return v{i} + 1", space)
        functions.append(ht.node(output_name=f"v{i + 1}")(space[f"f{i}"]))
    start = time.perf_counter()
    ht.Pipeline(functions)
    assert time.perf_counter() - start < 0.1
