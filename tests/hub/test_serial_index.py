"""The index gives the records below any serial, newest first, whichever of them were removed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.hub import serial_index
from celery_wsprogress.hub.operation_record import OperationRecord
from celery_wsprogress.hub.serial_index import SerialIndex
from celery_wsprogress.operations.history import History
from celery_wsprogress.operations.operation import Operation


def record(serial):
    return OperationRecord(Operation(f"op-{serial}", 0.0), History(), serial)


@given(
    st.integers(0, 20), st.sets(st.integers(1, 20)), st.none() | st.integers(0, 25), st.integers(1)
)
def test_the_records_below_a_serial_come_newest_first(count, removed, before, limit):
    index, records = SerialIndex(), [record(serial) for serial in range(1, count + 1)]
    for one in records:
        index.append(one)
    for one in records:
        if one.serial in removed:
            index.remove(one)
    expected = [
        one
        for one in reversed(records)
        if one.serial not in removed and (before is None or one.serial < before)
    ]
    assert index.before(before, limit) == expected[:limit]


def test_what_was_removed_takes_no_place_for_ever(monkeypatch):
    monkeypatch.setattr(serial_index, "MAX_EMPTY_PLACES", 3)
    index, records = SerialIndex(), [record(serial) for serial in range(1, 101)]
    for one in records:
        index.append(one)
    for one in records[:-5]:
        index.remove(one)
    assert len(index._records) <= 2 * 5 + 3
    assert index.before(None, 100) == records[:-6:-1]
    assert index.before(98, 100) == [records[96], records[95]]
