"""A batch is taken once: not again, and not never because it came late."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.protocol import batch_numbers
from celery_wsprogress.protocol.batch_numbers import WINDOW, Arrival, BatchNumbers


@given(st.permutations(range(1, 30)), st.data())
def test_in_whatever_order_and_however_often_they_come_each_is_taken_once(order, data):
    written = list(order)
    for repeated in data.draw(st.lists(st.sampled_from(order), max_size=20)):
        place = written.index(repeated)
        written.insert(data.draw(st.integers(place + 1, len(written))), repeated)
    seen = BatchNumbers()
    taken = [number for number in written if seen.take("w", number) is not Arrival.REPEAT]
    assert sorted(taken) == sorted(order)


def test_what_is_missing_is_noticed_and_what_was_missing_is_late():
    seen = BatchNumbers()
    said = [seen.take("w", number) for number in (5, 6, 9, 8, 9, 8, 7, 4, 10)]
    assert said == [
        Arrival.NEXT, Arrival.NEXT, Arrival.AHEAD, Arrival.LATE, Arrival.REPEAT, Arrival.REPEAT,
        Arrival.LATE, Arrival.LATE, Arrival.NEXT,
    ]  # fmt: skip


def test_writers_do_not_know_each_other():
    seen = BatchNumbers()
    assert [seen.take(writer, 1) for writer in ("a", "b", "a")] == [
        Arrival.NEXT, Arrival.NEXT, Arrival.REPEAT,
    ]  # fmt: skip


@pytest.mark.parametrize("newest", [WINDOW + 1, 10 * WINDOW, 2**62])
@pytest.mark.parametrize("first", [[], [1], [1, 2]], ids=len)
def test_what_comes_more_than_so_many_late_is_not_taken(newest, first):
    seen = BatchNumbers()
    for number in (*first, newest):
        seen.take("w", number)
    assert seen.take("w", newest - WINDOW - 1) is Arrival.REPEAT
    late = newest - WINDOW
    assert seen.take("w", late) is (Arrival.REPEAT if late in first else Arrival.LATE)


@given(st.lists(st.integers(-(2**62), 2**62), max_size=20))
def test_no_writer_costs_more_than_a_bit_for_each_it_may_be_late_with(numbers):
    seen = BatchNumbers()
    for number in numbers:
        seen.take("w", number)
        [(_, missing)] = seen._writers.values()
        assert sys.getsizeof(missing) < WINDOW / 7 + 40


def test_the_writer_that_was_silent_longest_is_forgotten(monkeypatch):
    monkeypatch.setattr(batch_numbers, "MAX_WRITERS", 2)
    seen = BatchNumbers()
    for writer in ("a", "b", "a", "c"):
        seen.take(writer, 1)
    assert [seen.take(writer, 1) for writer in ("a", "b")] == [Arrival.REPEAT, Arrival.NEXT]
