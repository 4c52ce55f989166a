"""Comprehensions of calls become one batch, and mean the same where they cannot."""

from __future__ import annotations

import re
import warnings
from typing import Any

import houndstooth as ht
import pytest
from houndstooth._lift import lift

CALLS: list[tuple[str, Any]] = []


@ht.cls
class Encoder:
    def encode(self, text: str, is_query: bool = False) -> str:
        CALLS.append(("row", text))
        return text.upper() + "?" * is_query

    @ht.method.batch
    def encode_batch(self, texts, is_query=False):
        texts = list(texts)
        CALLS.append(("batch", len(texts)))
        return [t.upper() + "?" * is_query for t in texts]


class Plain:
    def encode(self, text: str, is_query: bool = False) -> str:
        CALLS.append(("plain", text))
        return text.upper() + "?" * is_query


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


@ht.node(output_name="encoded")
def encode_all(texts, encoder, is_query=True):
    prefix = "x"
    found = [encoder.encode(t, is_query=is_query) for t in texts]
    return [prefix, *found]


def test_the_guides_form_is_one_batch() -> None:
    pipeline = ht.Pipeline([encode_all])
    result = pipeline.run({"texts": ["a", "b", "c"], "encoder": Encoder()})
    assert result == {"encoded": ["x", "A?", "B?", "C?"]}
    assert CALLS == [("batch", 3)]


def test_explain_shows_it() -> None:
    line = encode_all.func.__code__.co_firstlineno + 3
    text = ht.Pipeline([encode_all]).explain()
    assert f"encode_all: [encoder.encode(t, is_query=is_query) for t in texts] -> one batch (line {line})" in text


def test_a_plain_object_gets_its_calls() -> None:
    result = ht.Pipeline([encode_all]).run({"texts": ["a", "b"], "encoder": Plain()})
    assert result == {"encoded": ["x", "A?", "B?"]}
    assert CALLS == [("plain", "a"), ("plain", "b")]


def test_lift_false_leaves_the_body_as_it_is() -> None:
    @ht.node(output_name="encoded", lift=False)
    def encode(texts, encoder):
        return [encoder.encode(t) for t in texts]

    pipeline = ht.Pipeline([encode])
    assert pipeline.run({"texts": ["a", "b"], "encoder": Encoder()}) == {"encoded": ["A", "B"]}
    assert CALLS == [("row", "a"), ("row", "b")]
    assert "one batch" not in pipeline.explain()


def test_what_the_loop_variable_is_read_from_and_conditions() -> None:
    def encode(passages, encoder):
        return [encoder.encode(p["text"], False) for p in passages if p["text"] != ""]

    made, lines = lift(encode)
    assert len(lines) == 1
    assert made([{"text": "a"}, {"text": ""}, {"text": "b"}], Encoder()) == ["A", "B"]
    assert CALLS == [("batch", 2)]
    assert made([], Encoder()) == []


def test_tuple_targets_and_nested_comprehensions() -> None:
    def encode(groups, encoder):
        return [[encoder.encode(t) for _, t in enumerate(g)] for g in groups]

    assert lift(encode)[0]([["a", "b"], ["c"]], Encoder()) == [["A", "B"], ["C"]]
    assert CALLS == [("batch", 2), ("row", "c")]  # one row is called as a row


def test_closures_defaults_globals_and_names_are_kept() -> None:
    suffix, encoder = ["!"], Encoder()

    def encode(texts, *, more="m"):
        """Text."""
        return [encoder.encode(t) for t in texts] + suffix + [more, Plain.__name__]

    made, lines = lift(encode)
    assert lines
    assert made is not encode
    assert (made.__name__, made.__doc__, made.__wrapped__) == ("encode", "Text.", encode)
    assert made.__qualname__ == encode.__qualname__
    assert made(["a", "b"]) == ["A", "B", "!", "m", "Plain"]
    assert CALLS == [("batch", 2)]


def test_lines_of_a_traceback_are_those_of_the_source() -> None:
    def encode(texts, encoder):
        found = [encoder.encode(t) for t in texts]
        raise KeyError(found)

    made, _ = lift(encode)
    with pytest.raises(KeyError) as caught:
        made(["a"], Encoder())
    assert caught.tb.tb_next.tb_lineno == encode.__code__.co_firstlineno + 2


def not_first(texts, encoder):
    return [encoder.encode("x", t) for t in texts]


def used_twice(texts, encoder):
    return [encoder.encode(t, is_query=t) for t in texts]


def with_a_call(texts, encoder):
    return [encoder.encode(t.strip()) for t in texts]


def of_a_module(texts):
    return [re.escape(t) for t in texts]


def of_the_variable(encoders):
    return [e.encode(e) for e in encoders]


def two_loops(groups, encoder):
    return [encoder.encode(t) for g in groups for t in g]


def spread(texts, encoder, options):
    return [encoder.encode(t, **options) for t in texts]


@pytest.mark.parametrize(
    "function", [not_first, used_twice, with_a_call, of_a_module, of_the_variable, two_loops, spread]
)
def test_other_forms_stay(function) -> None:
    assert lift(function) == (function, [])


def test_a_function_without_its_source_stays() -> None:
    space: dict[str, Any] = {}
    exec("def encode(texts, encoder):\n    return [encoder.encode(t) for t in texts]\n", space)
    assert lift(space["encode"]) == (space["encode"], [])


def test_source_that_is_not_the_functions_is_not_believed() -> None:
    def encode(texts, encoder):
        return [encoder.encode(t) for t in texts]

    other = encode.__code__.replace(co_consts=(*encode.__code__.co_consts, 1))
    encode.__code__ = other
    assert lift(encode) == (encode, [])


def test_map_of_a_method_binds_the_other_arguments() -> None:
    encoder = Encoder()
    assert encoder.encode.map(["a", "b"], True) == ["A?", "B?"]
    assert encoder.encode.map(iter("ab"), is_query=True) == ["A?", "B?"]
    assert CALLS == [("batch", 2), ("batch", 2)]
    assert encoder.encode.map([]) == []
    with pytest.raises(TypeError, match="unexpected keyword argument 'nothing'"):
        encoder.encode.map(["a"], nothing=1)
    with pytest.raises(TypeError, match="takes the values"):
        encoder.encode.map()


def test_map_cuts_at_the_batch_size_and_raises_what_the_batch_does() -> None:
    @ht.cls
    class Sized:
        def double(self, x, by=2):
            return x * by

        @ht.method.batch(batch_size=2)
        def double_batch(self, xs, by=2):
            CALLS.append(("batch", len(xs)))
            if 0 in list(xs):
                raise KeyError("zero")
            return [x * by for x in xs]

    sized = Sized()
    assert sized.double.map([1, 2, 3, 4, 5, 6], by=3) == [3, 6, 9, 12, 15, 18]
    assert CALLS == [("batch", 2), ("batch", 2), ("batch", 2)]
    with pytest.raises(KeyError, match="zero"):
        sized.double.map([1, 2, 0, 3])


def test_columns_beside_the_first_have_a_value_a_row() -> None:
    @ht.cls
    class Scorer:
        def score(self, query, document):
            return len(query) + len(document)

        @ht.method.batch(over=("query", "document"))
        def score_batch(self, query, document):
            return [len(q) + len(d) for q, d in zip(query, document, strict=True)]

    assert Scorer().score.map(["a", "bb"], "ccc") == [4, 5]


def test_many_calls_in_a_row_are_warned_of_once() -> None:
    @ht.node(output_name="n")
    def loop(texts, encoder):
        found = []
        for t in texts:
            found.append(encoder.encode(t))
        return len(found)

    line = loop.func.__code__.co_firstlineno + 4
    pipeline = ht.Pipeline([loop])
    with pytest.warns(UserWarning, match=r"33 calls of encode in a row.*encode\.map\(values\)") as told:
        assert pipeline.run({"texts": ["a"] * 100, "encoder": Encoder()}) == {"n": 100}
    assert [(w.filename, w.lineno) for w in told] == [(__file__, line)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline.run({"texts": ["a"] * 32, "encoder": Encoder()})
        pipeline.run({"texts": ["a"] * 100, "encoder": Encoder()})


def test_a_warning_that_is_an_error_is_raised_at_the_call() -> None:
    @ht.node(output_name="n")
    def loop(texts, encoder):
        for t in texts:
            encoder.encode(t)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="33 calls"):
            ht.Pipeline([loop]).run({"texts": ["a"] * 40, "encoder": Encoder()})
