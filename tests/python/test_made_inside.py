"""Instances that nodes make: equal arguments give one, so that a model is loaded once and not for every item."""

from __future__ import annotations

import houndstooth as ht
from houndstooth import Pipeline, node

loads: list[tuple] = []


@ht.cls
class Model:
    def __init__(self, name: str, passages: list | None = None, scale: float = 1.0):
        loads.append((name, scale))
        self.name, self.passages, self.scale = name, passages, scale

    def score(self, text: str) -> float:
        return len(text) * self.scale

    def name_of(self, text: str) -> str:
        return f"{self.name} {text}"


@node(output_name="score")
def by_name(text):
    return Model("plain", scale=2.0).score(text)


@node(output_name="score")
def by_object(text, passages):
    return Model("objects", passages).score(text)


@node(output_name="score")
def by_new_object(text):
    return Model("new", [text]).score(text)


@node(output_name="score")
def by_zero(text, zero):
    return Model("zero", scale=zero).score(text)


def scores(one, engine=None, **inputs):
    loads.clear()
    pipeline = Pipeline([one], engine=engine)
    return [row["score"] for row in pipeline.map({"text": ["a", "bb", "ccc"], **inputs}, map_over="text")]


def test_plain_arguments_give_one_instance_for_good():
    assert scores(by_name) == [2, 4, 6]
    assert loads == [("plain", 2.0)]
    assert scores(by_name) == [2, 4, 6]
    assert loads == []


def test_on_threads():
    Model.__ht_class__  # noqa: B018  (made before the threads)
    assert scores(by_object, ht.ThreadEngine(2), passages=["p"]) == [1, 2, 3]
    assert len(loads) == 1


def test_objects_are_told_apart_by_identity_and_forgotten_after_the_run():
    passages = ["one", "two"]
    assert scores(by_object, passages=passages) == [1, 2, 3]
    assert len(loads) == 1
    assert scores(by_object, passages=passages) == [1, 2, 3]
    assert len(loads) == 1  # anew: the list may have changed
    assert scores(by_new_object) == [1, 2, 3]
    assert len(loads) == 3


def test_values_that_compare_equal_are_not_the_same_argument():
    loads.clear()
    Pipeline([by_zero]).map({"text": ["a"] * 3, "zero": [0.0, -0.0, 0]}, map_over=["text", "zero"])
    assert [repr(scale) for _, scale in loads] == ["0.0", "-0.0", "0"]


def test_outside_of_nodes_every_call_makes_one():
    loads.clear()
    first, second = Model("outside"), Model("outside")
    assert first is not second
    assert first.name_of("x") == second.name_of("x") == "outside x"
    assert len(loads) == 2


def test_many_are_not_kept_for_ever():
    @node(output_name="name")
    def one_each(text):
        return Model(text).name_of("x")

    loads.clear()
    names = [f"m{i}" for i in range(200)]
    rows = Pipeline([one_each]).map({"text": names}, map_over="text")
    assert [row["name"] for row in rows] == [f"{n} x" for n in names]
    assert len(loads) == 200
