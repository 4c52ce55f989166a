"""Errors on each of the five engines, and weak spots of bodies that wait; the numbered cases have the rest."""

# ctest: timeout=300
from __future__ import annotations

import pickle
import time

import houndstooth as ht
import pytest


@ht.node(output_name="b")
def inc(a):
    return a + 1


@ht.node(output_name="c")
def double(b):
    return 2 * b


@ht.node(output_name="text")
def fail_at_three(a):
    if a == 3:
        raise KeyError("three")
    return str(a)


# ---- classes ----


@ht.cls
class Encoder:
    def __init__(self, scale=1):
        time.sleep(0.02)
        self.scale = scale

    def encode(self, text, is_query=False):
        return ("row", len(text) * self.scale, is_query)

    @ht.method.batch
    def encode_batch(self, texts, is_query=False):
        return [("batch", len(t) * self.scale, is_query) for t in texts.to_pylist()]


@ht.node(output_name="encoded")
def encode(text, encoder):
    return encoder.encode(text, is_query=True)


# ---- errors ----


def test_errors_stay_themselves_and_say_where(engine):
    p = ht.Pipeline([fail_at_three])
    with pytest.raises(KeyError) as raised:
        p.map({"a": [1, 2, 3, 4]}, "a", engine=engine)
    assert raised.value.args == ("three",)
    assert any("fail_at_three" in note and "item 2" in note for note in raised.value.__notes__)


def test_errors_can_be_collected(engine):
    got = ht.Pipeline([fail_at_three]).map({"a": [1, 3, 4]}, "a", engine=engine, errors="collect")
    assert got[0] == {"text": "1"} and got[2] == {"text": "4"}
    assert isinstance(got[1], ht.Failure) and got[1].item == 1 and isinstance(got[1].error, KeyError)


@pytest.mark.parametrize("policy, expected", [("null", ["1", None, "4"]), ("skip", ["1", "4"])])
def test_policies_of_nodes(engine, policy, expected):
    spared = ht.Node(fail_at_three.func, "text", on_error=policy)
    assert [g["text"] for g in ht.Pipeline([spared]).map({"a": [1, 3, 4]}, "a", engine=engine)] == expected


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_is_no_exception_is_never_swallowed(kind):
    def stop(a):
        raise kind("now")

    for policy in ("null", "skip"):
        with pytest.raises(kind):
            ht.Pipeline([ht.Node(stop, "b", on_error=policy)]).map({"a": [1, 2]}, "a")
    with pytest.raises(kind):
        ht.Pipeline([ht.Node(stop, "b")]).map({"a": [1, 2]}, "a", errors="collect")


# ---- weak spots ----


def test_a_node_that_runs_a_pipeline():
    inner = ht.Pipeline([encode])

    def outer(texts, encoder):
        first = encoder.encode("xx")
        rest = inner.map({"text": texts, "encoder": encoder}, "text")
        return [first, *(r["encoded"] for r in rest), encoder.encode("yyy")]

    p = ht.Pipeline([ht.Node(outer, "all")])
    for engine in (ht.SequentialEngine(), ht.ThreadEngine(2)):
        got = p.map({"texts": [["a"], ["b", "cc"]], "encoder": Encoder()}, "texts", engine=engine)
        assert [[x[1] for x in g["all"]] for g in got] == [[2, 1, 3], [2, 1, 2, 3]]


def test_an_error_arrives_at_the_call_and_may_be_caught():
    @ht.cls
    class Picky:
        def check(self, x):
            return x

        def check_batch(self, xs: list):
            if any(x < 0 for x in xs):
                raise ValueError("negative")
            return xs

    def body(x, picky):
        try:
            return picky.check(x)
        except ValueError as error:
            return str(error)

    got = ht.Pipeline([ht.Node(body, "y")]).map({"x": [1, -1, 2], "picky": Picky()}, "x")
    assert [g["y"] for g in got] == ["negative"] * 3


def test_a_body_that_is_given_up_tidies_up():
    tidied = []

    def body(x, encoder):
        try:
            return encoder.encode(x)
        finally:
            tidied.append(x)

    p = ht.Pipeline([ht.Node(body, "y")])
    for engine in (ht.SequentialEngine(), ht.ThreadEngine(3)):
        tidied.clear()
        with pytest.raises(TypeError):
            p.map({"x": ["a", None, "b"] * 20, "encoder": Encoder()}, "x", engine=engine)
        assert len(tidied) == 60


def test_pickle_of_what_is_here():
    for thing in (inc, ht.Pipeline([inc, double])):
        again = pickle.loads(pickle.dumps(thing))
        assert repr(again) == repr(thing)
    e = pickle.loads(pickle.dumps(Encoder(2)))
    assert e.encode("ab") == ("row", 4, False)


def test_attributes_dunders_and_properties():
    @ht.cls
    class Box:
        KIND = "box"

        def __init__(self, items):
            self.items = items

        @property
        def first(self):
            return self.items[0]

        def __len__(self):
            return len(self.items)

        def __getitem__(self, at):
            return self.items[at]

        def __contains__(self, x):
            return x in self.items

    b = Box([1, 2, 3])
    assert (len(b), b[1], 3 in b, b.first, Box.KIND, list(b)) == (3, 2, True, 1, "box", [1, 2, 3])
    b.items = [9]
    assert b.first == 9
