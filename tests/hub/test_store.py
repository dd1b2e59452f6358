"""The store counts what it holds as it is."""

from __future__ import annotations

from functools import partial

import pytest
from support.sample_events import completed, log, queued, status

from benchmarks.counted_memory import KINDS, fill, traced
from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub import store
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.session import Session
from celery_wsprogress.hub.store import Limits, OperationStore
from celery_wsprogress.operations.selector import EVERYTHING
from celery_wsprogress.protocol.batches import Batch

LIMIT = 300_000
DAY = 86_400.0


@pytest.mark.parametrize("life", KINDS, ids=lambda life: life.__name__)
def test_the_memory_is_what_is_counted(life):
    _, counted, taken = traced(life, LIMIT)
    assert taken <= 1.3 * counted
    # The names of values that are the same in many operations are counted for each of them.
    assert counted <= 1.4 * taken


@pytest.mark.parametrize("life", KINDS, ids=lambda life: life.__name__)
def test_what_is_evicted_is_counted_no_longer(life):
    hub = Hub(OperationStore(Limits(max_history_bytes=50_000)))
    fill(hub, life, LIMIT, most=40)
    # The newest operation is held, however large it is.
    assert hub.store.history_bytes <= 50_000 or len(hub.store) == 1
    hub.store.expire(1e9)
    assert (len(hub.store), hub.store.history_bytes) == (0, 0)


def test_a_client_that_does_not_read_holds_a_bounded_number_of_evicted_operations():
    class Writer:
        ready = False
        closed = False

        def close_too_slow(self):
            self.closed = True

    hub = Hub(OperationStore(Limits(max_finished=10, max_history_bytes=1_000_000)))
    slow, other = (Session(number, Permit(None), Writer()) for number in (1, 2))
    hub.subscriptions.index.add_selector(slow, EVERYTHING)
    hub.subscriptions.index.add_selector(other, EVERYTHING)
    slow.accepts_snapshots = True
    held = 0
    for number in range(1_000):
        events = [one(operation_id=f"op-{number}") for one in (partial(log, "x"), completed)]
        batch = Batch("w", number + 1, events)
        hub.process_batch(batch, epoch="e", position=f"{number}-0", now=1.0)
        for record, cursor, sessions, _ in hub.take_deliveries():
            for session in sessions:
                session.notify(record, cursor)
        other.take(1_000_000, 1.0, 1.0)
        held = max(held, len(slow.reading()))
        if slow.writer.closed:
            break
    assert slow.too_slow
    assert 100 < held < 1_000
    assert len(slow.reading()) <= 1
    assert not other.too_slow


def test_of_what_has_ended_not_more_than_so_many_are_remembered(monkeypatch):
    monkeypatch.setattr(store, "MAX_EVICTED_IDS", 2)
    full = OperationStore(Limits(max_finished=0))
    hub = Hub(full)
    for number in range(3):
        batch = Batch("w", number + 1, [completed(operation_id=f"op-{number}")])
        hub.process_batch(batch, epoch="e", position=f"{number}-0", now=1.0)
    assert [full.was_evicted_finished(f"op-{number}") for number in range(3)] == [False, True, True]


def test_those_that_wait_for_their_time_are_not_looked_at_again_and_again(monkeypatch):
    full = OperationStore(Limits(max_age=5.0))
    events = [queued(operation_id=f"op-{number}", starts_at=100 * DAY) for number in range(1_000)]
    Hub(full).process_batch(Batch("w", 1, events), epoch="e", position="1-0", now=100.0)
    looks = []
    first = store._first
    monkeypatch.setattr(store, "_first", lambda queue: looks.append(1) or first(queue))
    for second in range(100):
        full.expire(100.0 + DAY + second)
    assert len(full) == 1_000
    assert len(looks) <= 1_000 + 100


def test_what_was_evicted_meanwhile_is_not_counted_again():
    store = OperationStore(Limits(max_finished=0))
    hub = Hub(store)
    hub.process_batch(Batch("w", 1, [status("started")]), epoch="e", position="1", now=1.0)
    record = store.get("op-1")
    store.expire(1e9)
    hub.process_batch(Batch("w", 2, [completed()]), epoch="e", position="2", now=2.0)
    before = (store.history_bytes, dict(store.held), dict(store.ended))
    record.operation.fold(completed())
    record.operation.size += 100
    store.touch(record, 100.0)
    assert (store.history_bytes, dict(store.held), dict(store.ended)) == before
