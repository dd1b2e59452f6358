from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import json
import uuid
from collections import OrderedDict, deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_wsprogress.protocol import batches, jsonable
from celery_wsprogress.protocol.events import (
    LogData,
    ProgressData,
    Result,
    ResultData,
    Status,
    StatusData,
)


class Mute:
    """An object that can say nothing about itself."""

    def __str__(self):
        raise RuntimeError

    def __repr__(self):
        raise RuntimeError

    def __hash__(self):
        return 1


class Unbound:
    """A lazy proxy outside of what it stands for: even `isinstance` raises."""

    @property
    def __class__(self):
        raise RuntimeError("working outside of a request")


class Name(str):
    __slots__ = ()


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: object
    y: object = None


any_text = st.text(st.characters(codec=None, exclude_categories=()))
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.builds(lambda n: 10**n, st.integers(0, 6000)),
    st.floats(),
    any_text,
    st.binary(),
    st.datetimes(),
    st.timedeltas(),
    st.decimals(),
    st.fractions(),
    st.uuids(),
    st.complex_numbers(),
    st.builds(Name, any_text),
    st.builds(ValueError, any_text),
    st.sampled_from([Mute, Colour.RED, object, len, np.float64("nan"), np.int64(3), np.arange(9)]),
    st.builds(Mute),
    st.builds(Unbound),
    st.builds(lambda some: memoryview(some)[::2], st.binary()),
)
keys = st.one_of(
    any_text, st.integers(), st.floats(), st.none(), st.tuples(st.integers()), st.builds(Mute)
)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner),
        st.dictionaries(keys, inner),
        st.tuples(inner, inner),
        st.builds(Point, inner, inner),
        st.builds(deque, st.lists(inner)),
        st.builds(OrderedDict, st.dictionaries(any_text, inner)),
    ),
    max_leaves=30,
)


def size(value):
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


@settings(max_examples=2 * settings.default.max_examples)
@given(values)
def test_anything_becomes_strict_json_of_a_bounded_size(value):
    plain = jsonable.to_builtins(value)
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    json.dumps(plain, ensure_ascii=False).encode()
    assert isinstance(jsonable.to_object(value), dict)
    assert size(jsonable.to_object(value)) <= jsonable.MAX_DETAILS_BYTES
    assert size(jsonable.to_result(value).value) <= jsonable.MAX_RESULT_BYTES
    assert size(jsonable.to_text(value)) <= jsonable.MAX_MESSAGE_BYTES + 2
    assert all(jsonable.describe_error(value))
    assert isinstance(jsonable.to_tags(value), list)
    jsonable.to_level(value)


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        (float("nan"), None),
        (float("inf"), None),
        (dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "2026-01-02T00:00:00Z"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (decimal.Decimal("1.50"), "1.50"),
        (fractions.Fraction(1, 3), "1/3"),
        (b"abc", "YWJj"),
        (Point(1, float("nan")), {"x": 1, "y": None}),
        (ValueError("no"), "ValueError: no"),
        (KeyError(), "KeyError"),
        (np.float64(0.5), 0.5),
        (np.float32("nan"), None),
        (np.int64(3), 3),
        (np.array([1, 2]), "[1 2]"),
        (Colour.RED, "red"),
        (Name("x"), "x"),
        ({1: 2, (3, 4): 5}, {"1": 2, "(3, 4)": 5}),
        ({"\ud800": "\udfff!"}, {"?": "?!"}),
        (Mute(), "… [unprintable Mute]"),
        ([{Mute(): Mute()}], [{"… [unprintable Mute]": "… [unprintable Mute]"}]),
        (2**70, 2**70),
        ([b"abc", "\ud800"], ["YWJj", "?"]),
        ([Point(1, "\ud800")], [{"x": 1, "y": "?"}]),
        ({1: memoryview(b"aXbXcX")[::2]}, {"1": "YWJj"}),
    ],
)
def test_values_keep_what_json_can_hold_of_them(value, rendered):
    assert jsonable.to_builtins(value) == rendered


def test_cycles_are_cut():
    knot: dict = {"name": "knot", "again": []}
    knot["again"] = [knot, knot]
    rendered = jsonable.to_object(knot)
    assert rendered["truncated"] is True
    assert "knot" in rendered["preview"]


def test_depth_is_cut_so_that_every_parser_can_read_it():
    deep: list = []
    for _ in range(500):
        deep = [deep]
    depth, value = 0, jsonable.to_builtins(deep)
    while isinstance(value, list) and value:
        depth, value = depth + 1, value[0]
    assert value == "…"
    assert depth <= 50


def test_wide_values_stay_whole():
    wide = [{"a": [1, [2]]} for _ in range(300)]
    assert jsonable.to_builtins(wide) == wide


def test_a_rendered_value_is_a_copy():
    value = {"seen": [1]}
    rendered = jsonable.to_object(value)
    value["seen"].append(2)
    assert rendered == {"seen": [1]}


def test_large_details_become_a_marked_preview():
    rendered = jsonable.to_object({"rows": "x" * 10_000})
    assert rendered["truncated"] is True
    assert rendered["bytes"] == 10_011
    assert rendered["preview"].startswith('{"rows":"xxx')


def test_details_are_always_an_object():
    assert jsonable.to_object(None) == {}
    assert jsonable.to_object([1]) == {"value": [1]}
    assert jsonable.to_object(Point(1, 2)) == {"x": 1, "y": 2}


def test_large_results_end_in_a_mark():
    value, truncated = jsonable.to_result("é" * 1_000_000)
    assert truncated
    assert value.endswith("… [truncated: 2,000,002 bytes]")
    assert jsonable.to_result(["small"]) == (["small"], False)


@pytest.mark.parametrize("letter", ["x", "é", "\x00", "\U0001f600", '"'])
def test_texts_are_cut_with_a_mark(letter):
    cut = jsonable.to_text(letter * 5_000)
    assert cut.endswith("… [truncated: 5,000 characters]")
    assert jsonable.MAX_MESSAGE_BYTES * 0.5 < size(cut) - 2 <= jsonable.MAX_MESSAGE_BYTES


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f600"])
def test_texts_that_fit_are_left_alone(letter):
    fits = letter * (jsonable.MAX_MESSAGE_BYTES // len(letter.encode()))
    assert jsonable.to_text(fits) == fits


def test_errors_always_have_a_text_and_a_type():
    assert jsonable.describe_error(ValueError("no")) == ("no", "ValueError")
    assert jsonable.describe_error(ValueError("  ")) == ("ValueError", "ValueError")
    assert jsonable.describe_error("worker lost") == ("worker lost", "UnknownError")
    assert jsonable.describe_error(None) == ("None", "UnknownError")


def test_tags_are_short_texts_and_not_too_many():
    assert jsonable.to_tags("one") == ["one"]
    assert jsonable.to_tags(["a", "", 3]) == ["a", "3"]
    assert jsonable.to_tags({"a": 1}) == []
    assert jsonable.to_tags(None) == []
    assert len(jsonable.to_tags(["x" * 1000] * 1000)) == jsonable.MAX_TAGS


@pytest.mark.parametrize(
    ("level", "word"),
    [
        ("warn", "warning"), ("WARNING", "warning"), (" Error", "error"), ("fatal", "critical"),
        (10, "debug"), (0, "debug"), (20, "info"), (25, "info"), (30, "warning"), (99, "critical"),
        ("loud", None), (None, None), (True, None), ([], None),
    ],
)  # fmt: skip
def test_levels_become_the_five_words(level, word):
    assert jsonable.to_level(level) == word


def test_no_event_is_larger_than_a_batch_may_be():
    """Everything at its worst at once: texts and objects that are just not cut, and many tags."""
    mapping = {"k": "x" * (jsonable.MAX_DETAILS_BYTES - 8)}
    assert "truncated" not in jsonable.to_object(mapping)
    common = {"operation_id": str(uuid.uuid4()), "timestamp": 1735734005.4560001, "run": "0" * 8}
    name, message = "x" * jsonable.MAX_NAME_BYTES, "x" * jsonable.MAX_MESSAGE_BYTES
    tags = jsonable.to_tags(["x" * 1000] * 1000)
    status = StatusData(
        status=name, message=message, details=mapping, metadata=mapping, operation_type=name,
        tags=tags, attempt=1, worker=name, queue=name, parent_id=name, root_id=name, group_id=name,
    )  # fmt: skip
    result = ResultData(result="x" * (jsonable.MAX_RESULT_BYTES - 2))
    for event in (Status(data=status, **common), Result(data=result, **common)):
        assert len(batches.encode_event(event)) <= jsonable.MAX_EVENT_BYTES
    assert size(LogData(level="info", message=message, details=mapping).message) < 10_000
    assert ProgressData(progress=1, message=message, details=mapping).details == mapping


class SoftTimeLimitExceeded(Exception):
    pass


def test_a_soft_time_limit_reaches_the_task():
    """Celery raises it inside whatever the task's thread is doing."""

    class Slow:
        def __str__(self):
            raise SoftTimeLimitExceeded

    with pytest.raises(SoftTimeLimitExceeded):
        jsonable.to_text(Slow())
    with pytest.raises(SoftTimeLimitExceeded):
        jsonable.to_object({"slow": Slow()})


def test_a_limit_below_the_mark_leaves_only_a_sign_that_there_was_more():
    assert jsonable.to_text("x" * 1_000, 20) == "…"
