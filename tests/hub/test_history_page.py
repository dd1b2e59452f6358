"""The newest events of an operation, as ``get_history`` shows them."""

from __future__ import annotations

import msgspec
from support.deliveries import process
from support.sample_events import OPERATION, completed, error, status

from celery_wsprogress.hub.history_page import newest_events
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.protocol.batches import Batch


def test_the_history_holds_earlier_runs_and_says_when_it_is_not_all():
    hub = Hub()
    first = [status("started", run="a", metadata={}), error(run="a")]
    second = [status("started", run="b", metadata={}), completed(run="b")]
    process(hub, Batch("w", 1, first + second), epoch="e", position="1", now=0.0)
    held = hub.store.get(OPERATION).history
    frames, complete = newest_events(held, 100, 100_000)
    assert kinds(frames) == ["started", "error", "started", "completed"]
    assert complete
    frames, complete = newest_events(held, 2, 100_000)
    assert kinds(frames) == ["started", "completed"]
    assert not complete
    assert newest_events(held, 100, 10) == ([], False)


def test_an_operation_that_is_not_held_has_none():
    assert newest_events(None, 100, 100_000) == ([], False)


def kinds(frames):
    events = [msgspec.json.decode(frame) for frame in frames]
    return [one["data"].get("status", one["event_type"]) for one in events]
