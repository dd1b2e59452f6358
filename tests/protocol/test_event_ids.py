"""An event id names one event of the log, and ids compare as the log is ordered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.protocol.event_ids import (
    BatchPosition,
    LogPosition,
    event_id_of_frame,
    parse_event_id,
    parse_position,
    position_of_frame,
)

positions = st.one_of(
    st.integers(0, 10**12).map(str),
    st.tuples(st.integers(0, 10**13), st.integers(0, 999)).map(lambda two: f"{two[0]}-{two[1]}"),
)
indexes = st.integers(0, 10_000)


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
    _, before = parse_event_id(batch.event_id(index))
    _, synthetic = parse_event_id(batch.synthetic_event_id(index + 1))
    _, behind = parse_event_id(batch.event_id(index + 1))
    assert before < synthetic < behind


@given(st.tuples(positions, indexes), st.integers(0, 9))
def test_a_frame_holds_the_position_of_its_event(place, epoch_number):
    position, index = place
    event_id = BatchPosition("e1", 7, position).event_id(index)
    frame = b'{"message":"\\"event_id\\":\\"x\\"","event_id":"%s","seq":1}' % event_id.encode()
    assert event_id_of_frame(frame) == event_id
    expected = BatchPosition("e1", epoch_number, position).of_event(index)
    assert position_of_frame(frame, epoch_number) == expected


@pytest.mark.parametrize(
    "event_id", ["", "e1", "e1.5", "e1.5.x", "e1.5.1rr", "e1.five.1", "..", "e1.-.0"]
)
def test_what_is_no_id_has_no_position(event_id):
    assert parse_event_id(event_id) == (event_id.partition(".")[0], None)


@pytest.mark.parametrize("position", ["", "-", "1-", "a", "1-b"])
def test_what_is_no_position_is_refused(position):
    with pytest.raises(ValueError, match="invalid literal"):
        parse_position(position)


def test_positions_compare_as_numbers_and_the_epoch_comes_first():
    assert BatchPosition("e", 1, "9-0").of_event(0) < BatchPosition("e", 1, "10-0").of_event(0)
    assert BatchPosition("e", 1, "10-2").of_event(0) < BatchPosition("e", 1, "10-10").of_event(0)
    assert BatchPosition("e", 1, "99-0").of_event(9) < BatchPosition("f", 2, "1-0").of_event(0)
