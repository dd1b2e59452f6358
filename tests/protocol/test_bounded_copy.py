"""Values that are larger than they look, or that run code when they are looked at."""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import json
import types
import uuid
from functools import partial
from typing import NamedTuple

import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.large_values import WAYS, Endless, shared

from celery_wsprogress.protocol import bounded_json, jsonable
from celery_wsprogress.protocol.bounded_copy import (
    MAX_CHARACTERS,
    MAX_NODES,
    BoundedCopy,
    _first,
)
from celery_wsprogress.worker.progress_args import number


class Counting:
    """Counts how often it is printed."""

    def __init__(self):
        self.printed = 0

    def __str__(self):
        self.printed += 1
        return "printed"


class EndlessSet(collections.abc.Set):
    def __iter__(self):
        yield from iter(int, 1)

    def __contains__(self, item):
        return True

    def __len__(self):
        return 2**60


class Hostile(dict):
    """A dictionary with methods of its own, none of which is called."""

    def _raise(self, *args):
        raise AssertionError("called")

    items = keys = values = get = __iter__ = __len__ = __getitem__ = __repr__ = __bool__ = _raise


class HostileList(list):
    def __iter__(self):
        return iter(int, 1)

    __len__ = __repr__ = Hostile._raise


class QuerySet:
    """What a library calls so fetches when it is printed, counted or gone through."""

    def _fetch(self):
        raise AssertionError("fetched")

    __repr__ = __len__ = __iter__ = __bool__ = _fetch


class Meta(type):
    __name__ = property(lambda cls: 1 / 0)
    __hash__ = None

    def __eq__(cls, other):
        raise RuntimeError


class OddClass(metaclass=Meta):
    pass


class Lies:
    __class__ = property(lambda self: dict)


class Slow:
    calls = 0

    def __str__(self):
        Slow.calls += 1
        raise RuntimeError


class Sleepy(str):
    __slots__ = ()

    def __str__(self):
        raise AssertionError("its characters are known")


@dataclasses.dataclass
class Holder:
    inner: object
    hidden: str = dataclasses.field(default="hidden", repr=False)


class Model(pydantic.BaseModel):
    inner: object
    hidden: str = pydantic.Field(default="hidden", repr=False)
    token: pydantic.SecretStr = pydantic.SecretStr("hidden")


class Colour(enum.Enum):
    LARGE_READ_BYTES = shared(30)


class Pair(NamedTuple):
    left: object
    right: object


large = {
    "shared parts": lambda: shared(30),
    "22 dictionaries": lambda: shared(22),
    "in a dataclass": lambda: Holder(shared(30)),
    "in a model": lambda: Model(inner=shared(30)),
    "in a namedtuple": lambda: Pair(shared(30), 1),
    "in a namespace": lambda: types.SimpleNamespace(a=shared(30)),
    "in a deque": lambda: collections.deque([shared(30)]),
    "in a UserDict": lambda: collections.UserDict(shared(30)),
    "in a UserList": lambda: collections.UserList([shared(30)]),
    "in a ChainMap": lambda: collections.ChainMap(shared(30)),
    "in a proxy": lambda: types.MappingProxyType(shared(30)),
    "in a view": lambda: shared(30).values(),
    "in an exception": lambda: ValueError(shared(30)),
    "in a KeyError": lambda: KeyError(shared(30)),
    "in an exception of two": lambda: ValueError("a", shared(30)),
    "in a set": lambda: {Pair("a", ("b",) * 1000)},
    "in an array": lambda: np.array([shared(30), 1], dtype=object),
    "in an enumeration": lambda: Colour.LARGE_READ_BYTES,
    "as a key": lambda: {(frozenset([("x" * 10_000_000,)]),): 1},
    "a mapping without an end": Endless,
    "a set without an end": EndlessSet,
    "a long text": lambda: "x" * 20_000_000,
    "a long text of surrogates": lambda: "\udfff" * 5_000_000,
    "many bytes": lambda: b"x" * 20_000_000,
    "a long view": lambda: memoryview(bytearray(20_000_000)),
    "a long number": lambda: 1 << 100_000_000,
    "a long decimal": lambda: decimal.Decimal("1" * 1_000_000),
    "a long list": lambda: [0] * 2_000_000,
    "a long array": lambda: array.array("d", [0.0]) * 2_000_000,
    "a long range": lambda: range(10**12),
    "a large array": lambda: np.zeros((5_000, 5_000)),
    "hostile methods": lambda: Hostile(a=1),
    "a hostile list": lambda: HostileList([1]),
    "a query": QuerySet,
    "an odd class": OddClass,
    "an instance of an odd class, listed": lambda: [OddClass(), 1],
    "a lie": Lies,
}  # fmt: skip


@pytest.mark.parametrize("make", large.values(), ids=large)
def test_what_is_large_is_looked_at_within_bounds(make, monkeypatch):
    # A tenth of the values that are read otherwise, which takes a tenth of the time.
    monkeypatch.setattr(bounded_json, "BoundedCopy", partial(BoundedCopy, MAX_NODES // 10))
    value = make()
    for way in WAYS:
        found = way(value)
        assert (
            way is jsonable.to_builtins or len(json.dumps(found)) <= 6 * jsonable.MAX_RESULT_BYTES
        )


json_values = st.recursive(
    st.one_of(st.text(), st.integers(), st.floats(), st.binary(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner).map(lambda some: some * 7),
        st.dictionaries(st.one_of(st.text(), st.integers(), st.none()), inner),
        inner.map(lambda one: {"a": one, "b": [one] * 3}),
        inner.map(lambda one: collections.OrderedDict(a=one, b=one)),
        st.builds(Holder, inner),
        st.builds(Pair, inner, inner),
        inner.map(lambda one: types.MappingProxyType({1: one, "1": one})),
    ),
    max_leaves=40,
)


@given(json_values, st.integers(0, 200), st.integers(0, 2_000))
def test_no_more_is_looked_at_than_allowed(value, nodes, characters):
    copy = BoundedCopy(nodes, characters)
    found = copy.of(value)
    assert count(found) <= 2 * nodes + 2
    # A mark where each is cut.
    assert characters_of(found) <= characters + 30 * (nodes + 1)
    json.dumps(found, allow_nan=False)


def count(value):
    inner = value.values() if isinstance(value, dict) else value
    return 1 + sum(map(count, inner)) if isinstance(value, (dict, list)) else 1


def characters_of(value):
    if isinstance(value, dict):
        return sum(len(key) + characters_of(item) for key, item in value.items())
    if isinstance(value, list):
        return sum(map(characters_of, value))
    return len(value) if isinstance(value, str) else 0


def test_a_value_says_whether_all_of_it_was_looked_at():
    assert jsonable.to_object(shared(30))["truncated"] is True
    assert jsonable.to_object({"text": "x" * (MAX_CHARACTERS + 5)})["bytes"] > MAX_CHARACTERS
    value, truncated = jsonable.to_result([0] * (MAX_NODES * 5))
    assert truncated
    assert "[truncated: more than " in value
    assert jsonable.to_object(shared(5)) == shared(5)


def test_what_json_has_a_word_for_is_copied_as_it_is():
    words = [None, True, False]
    assert BoundedCopy().of(words) == words


def test_each_value_is_asked_once():
    one = Counting()
    assert jsonable.to_object({"one": one}) == {"one": "printed"}
    assert jsonable.to_text([one]) == "['printed']"
    assert jsonable.to_text(one) == "printed"
    assert one.printed == 3


def test_a_mapping_without_an_end_is_left_in_time():
    endless = Endless()
    jsonable.to_object(endless)
    assert endless.asked <= MAX_NODES + 2


def test_no_more_of_the_users_code_runs_when_it_took_too_long(monkeypatch):
    clock = iter(range(10_000))
    monkeypatch.setattr("celery_wsprogress.protocol.bounded_copy.monotonic", lambda: next(clock))
    some = [Counting() for _ in range(100)]
    found = jsonable.to_builtins(some)
    assert [one.printed for one in some] == [1] + [0] * 99
    assert found[:2] == ["printed", "… [not looked at Counting]"]
    assert jsonable.to_object({"some": some})["truncated"] is True


def slowed(monkeypatch):
    """Each call of the user's code takes a second."""
    clock = iter(range(10_000))
    monkeypatch.setattr("celery_wsprogress.protocol.bounded_copy.monotonic", lambda: next(clock))


def test_a_set_that_takes_too_long_is_left(monkeypatch):
    slowed(monkeypatch)
    copy = BoundedCopy()
    assert copy.of(EndlessSet()) == []
    assert (copy.whole, copy.left_out) == (False, 1)


def test_no_more_keys_are_asked_when_one_took_too_long(monkeypatch):
    slowed(monkeypatch)
    first, second = Counting(), Counting()
    copy = BoundedCopy()
    assert copy.of({first: 1, second: 2}) == {"printed": 1, "… [not looked at Counting]": 2}
    assert (first.printed, second.printed, copy.whole) == (1, 0, False)


def test_what_another_thread_changes_is_shown_as_far_as_it_was_found():
    changed = {"a": 1, "b": 2}

    def items():
        for item in changed.items():
            yield item
            changed["c"] = 3

    assert _first(items(), 10) == [("a", 1)]


def test_keys_of_another_class_of_texts_are_texts():
    class Changing(dict):
        pass

    class Key(str):
        __slots__ = ()

    changing = Changing({Key("a"): 1, "b": 2})
    assert jsonable.to_object(changing) == {"a": 1, "b": 2}


def test_a_view_of_several_dimensions_is_not_looked_at():
    assert jsonable.to_builtins(memoryview(np.zeros((2, 3)))) == "… [not looked at memoryview]"


def test_a_time_of_another_class_is_read_as_what_it_is():
    class Stamp(dt.datetime):
        __str__ = isoformat = utcoffset = Hostile._raise

    found = jsonable.to_builtins(Stamp(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC))
    assert found == "2026-01-02T03:04:05Z"


def test_keys_that_look_the_same_both_stay():
    assert jsonable.to_builtins({1: "a", "1": "b"}) == {"1": "a", "1 (1)": "b"}
    assert jsonable.to_builtins({None: 1, True: 2, 1.5: 3}) == {"None": 1, "True": 2, "1.5": 3}


def test_nothing_is_fetched_and_nothing_hidden_is_shown():
    assert jsonable.to_builtins([QuerySet()]) == ["… [not evaluated QuerySet]"]
    assert jsonable.to_text(QuerySet()) == "… [not evaluated QuerySet]"
    for holder in (Holder("shown"), Model(inner="shown"), Holder(Holder("shown"))):
        for found in (json.dumps(jsonable.to_builtins(holder)), jsonable.to_text(holder)):
            assert "shown" in found
            assert "hidden" not in found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": (1, None)}, "{'a': (1, None)}"),
        (Pair(1, 2), "[1, 2]"),
        (b"abc", "b'abc'"),
        (ValueError("a", 1), "('a', 1)"),
        (ValueError({"a": 1}), "{'a': 1}"),
        (KeyError("x"), "'x'"),
        (OSError(2, "No such file", "x.csv"), "[Errno 2] No such file: 'x.csv'"),
        (Holder(1), "Holder(inner=1)"),
        (1 << 20_000, "… [a whole number of 20,001 bits]"),
        (True, "True"),
        (np.arange(3), "[0 1 2]"),
        (np.zeros((100, 100)), "… [ndarray of shape (100, 100)]"),
        (OddClass(), None),
    ],
    ids=[str(n) for n in range(13)],
)
def test_texts_are_those_of_python_where_they_are_small(value, text):
    found = jsonable.to_text(value)
    assert found == text or (text is None and "OddClass" in found)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ((1, {2}), [1, [2]]),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (dt.timedelta(seconds=90), "P1M30S"),
        (collections.UserString("text"), "text"),
        (collections.UserList([1, "a"]), [1, "a"]),
        (Sleepy("quiet"), "quiet"),
        ({"a": 1}.items(), [["a", 1]]),
        (range(3), "range(0, 3)"),
        (Model(inner=uuid.UUID(int=0)), {
            "inner": "00000000-0000-0000-0000-000000000000", "token": "**********",
        }),
    ],
)  # fmt: skip
def test_values_of_known_classes(value, plain):
    found = jsonable.to_builtins(value)
    assert found == plain or "timedelta" in type(value).__name__


@pytest.mark.parametrize("what", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_orders_to_the_thread_go_through(what):
    """A signal raises them wherever it finds the thread; nobody can tell that from this."""

    class Ordered:
        def __str__(self):
            raise what

    with pytest.raises(what):
        jsonable.to_builtins([Ordered()])


class OddNumber:
    def __float__(self):
        raise ZeroDivisionError

    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "value", [OddNumber(), Lies(), OddClass(), "x" * 1000, True], ids=list("abcde")
)
def test_what_is_no_number_is_a_type_error_that_shows_nothing(value):
    with pytest.raises(TypeError, match=r"^progress must be a number, not [A-Za-z]+$"):
        number("progress", value)
