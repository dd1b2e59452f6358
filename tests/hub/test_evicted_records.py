"""What was evicted is told when its memory is needed, if anybody still holds it."""

from __future__ import annotations

from celery_wsprogress.hub.evicted_records import MIN_BYTES, EvictedRecords
from celery_wsprogress.hub.operation_record import OperationRecord
from celery_wsprogress.operations.history import History
from celery_wsprogress.operations.operation import Operation


def record(number):
    return OperationRecord(Operation(f"op-{number}", first_seen_at=1.0), History(), number)


def test_the_oldest_that_are_held_are_told():
    evicted, told = EvictedRecords(), []
    evicted.on_forgotten = lambda one: told.append(one.operation_id)
    held = [record(number) for number in range(3)]
    for one in held:
        evicted.add(one, MIN_BYTES // 2, max_bytes=0)
    assert told == ["op-0"]
    # Of these nobody holds one.
    for number in range(3, 10):
        evicted.add(record(number), MIN_BYTES // 2, max_bytes=0)
    assert told == ["op-0", "op-1", "op-2"]


def test_nothing_is_told_where_nobody_asks_or_there_is_room():
    evicted = EvictedRecords()
    one, told = record(1), []
    evicted.add(one, 2 * MIN_BYTES, max_bytes=0)
    evicted.on_forgotten = told.append
    evicted.add(one, 2 * MIN_BYTES, max_bytes=2 * MIN_BYTES)
    assert told == []
