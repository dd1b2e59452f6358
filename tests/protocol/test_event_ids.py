"""An event id names one event of the log, and ids compare as the log is ordered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.protocol.event_ids import (
    MAX_DERIVED,
    SYNTHETIC_SUFFIX,
    BatchPosition,
    LogPosition,
    derived_event_id,
    event_id_of_frame,
    is_epoch,
    parse_event_id,
    parse_position,
    position_of_frame,
)

positions = st.one_of(
    st.integers(0, 10**12).map(str),
    st.tuples(st.integers(0, 10**13), st.integers(0, 999)).map(lambda two: f"{two[0]}-{two[1]}"),
)
indexes = st.integers(0, 10_000)


def position_in(event_id):
    return parse_event_id(event_id)[1]


@given(positions, indexes)
def test_an_id_leads_back_to_the_position_of_its_event(position, index):
    batch = BatchPosition("e1", 3, position)
    epoch, found = parse_event_id(batch.event_id(index))
    assert epoch == "e1"
    assert found == LogPosition(parse_position(position), index)
    assert batch.of_event(index) == LogPosition((3, *found.batch), index)


@given(positions, indexes)
def test_an_event_of_the_sidecar_stands_between_two_of_the_log(position, index):
    batch = BatchPosition("e1", 3, position)
    before = position_in(batch.event_id(index))
    synthetic = position_in(batch.event_id(index + 1) + SYNTHETIC_SUFFIX)
    behind = position_in(batch.event_id(index + 1))
    assert before < synthetic < behind


@given(positions, indexes, st.sampled_from(["", SYNTHETIC_SUFFIX]))
def test_what_follows_from_an_event_stands_behind_it_and_before_the_next(position, index, suffix):
    batch = BatchPosition("e1", 3, position)
    ids = [batch.event_id(index) + suffix]
    for _ in range(MAX_DERIVED):
        ids.append(derived_event_id(ids[-1]))
    places = [position_in(one) for one in ids]
    assert sorted(places) == places
    assert len(set(places)) == len(places)
    assert places[-1] < position_in(batch.event_id(index + (0 if suffix else 1)))
    assert derived_event_id(ids[-1]) == ids[-1]


@given(st.tuples(positions, indexes), st.integers(0, 9))
def test_a_frame_holds_the_position_of_its_event(place, epoch_number):
    position, index = place
    event_id = BatchPosition("e1", 7, position).event_id(index)
    frame = b'{"message":"\\"event_id\\":\\"x\\"","event_id":"%s","seq":1}' % event_id.encode()
    assert event_id_of_frame(frame) == event_id
    expected = BatchPosition("e1", epoch_number, position).of_event(index)
    assert position_of_frame(frame, epoch_number) == expected


NO_NUMBERS = ["", "x", "-1", "+1", " 1", "1_0", "1 ", "²", "٣", "9" * 21, "9" * 5000]


@pytest.mark.parametrize(
    "event_id",
    [
        "", "e1", "e1.5", "e1.5.1rr", "..", "e1.-.0", "e1.1-2-3.0", ".5.1", "e1.5.1.1", "é.5.1",
        "e1.5.1\n", "e" * 17 + ".5.1", "e1." + "-".join("1" * 31_000) + ".0",
        "e1.5." + "9" * 400 + "r",
        *(f"e1.{number}.1" for number in NO_NUMBERS),
        *(f"e1.5-{number}.1" for number in NO_NUMBERS),
        *(f"e1.5.{number}" for number in NO_NUMBERS),
        *(f"e1.5.{number}r" for number in NO_NUMBERS),
    ],
)  # fmt: skip
def test_what_is_no_id_has_no_position(event_id):
    assert parse_event_id(event_id) is None


def test_the_largest_id_has_a_position():
    number = 2**64 - 1
    largest = f"{'Z' * 16}.{number}-{number}.{number}r"
    assert parse_event_id(largest) == ("Z" * 16, LogPosition((number, number), number - 0.5))


@given(st.text())
def test_no_text_is_too_much(text):
    parsed = parse_event_id(text)
    assert parsed is None or text.startswith(f"{parsed[0]}.")


@pytest.mark.parametrize("position", ["-", "1-", "1-b", "1-2-3", *NO_NUMBERS])
def test_what_is_no_position_is_refused(position):
    with pytest.raises(ValueError, match="no position"):
        parse_position(position)


@pytest.mark.parametrize("text", ["a", "0", "Az09" * 4])
def test_letters_and_digits_are_an_epoch(text):
    assert is_epoch(text)


@pytest.mark.parametrize("text", ["", "a.b", "é", "²", "a\n", "a" * 17])
def test_anything_else_is_none(text):
    assert not is_epoch(text)


def test_positions_compare_as_numbers_and_the_epoch_comes_first():
    assert BatchPosition("e", 1, "9-0").of_event(0) < BatchPosition("e", 1, "10-0").of_event(0)
    assert BatchPosition("e", 1, "10-2").of_event(0) < BatchPosition("e", 1, "10-10").of_event(0)
    assert BatchPosition("e", 1, "99-0").of_event(9) < BatchPosition("f", 2, "1-0").of_event(0)
