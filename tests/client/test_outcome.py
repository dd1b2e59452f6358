"""What the events of an operation say of its end."""

from __future__ import annotations

import pytest
from support.asyncio_runner import run_within as run

from celery_wsprogress import WebSocketEvent
from celery_wsprogress.client.outcome import OutcomeReader
from celery_wsprogress.errors import NoConnection


async def given(*events):
    for kind, data in events:
        yield WebSocketEvent(event_type=kind, operation_id="a", timestamp=1.0, data=data)


def read(*events):
    return run(OutcomeReader("a", "ws://x").read(given(*events)))


ENDED = ("completed", {"status": "completed", "duration": 2.0})


def test_a_result_and_an_end():
    outcome = read(("result", {"result": [1]}), ENDED, ("log", {}))
    assert (outcome.operation_id, outcome.state, outcome.result) == ("a", "completed", [1])
    assert outcome.event.data["duration"] == outcome.duration == 2.0


def test_an_end_without_a_result():
    assert read(ENDED).result is None


def test_an_error_without_a_status():
    outcome = read(("result", {"result": 7}), ("error", {"error": "e", "error_type": "T"}))
    assert (outcome.state, outcome.result, outcome.duration) == ("error", None, None)
    assert (outcome.error, outcome.error_type) == ("e", "T")


def test_events_that_cease_before_the_end():
    with pytest.raises(NoConnection, match="client was closed"):
        read(("log", {}))


def test_what_was_not_heard_in_time():
    reader = OutcomeReader("a", "ws://user:hunter2@x")
    unanswered = reader.describe_wait(0.5)
    assert unanswered == "no answer from the sidecar at ws://user:**@x within 0.5 s"
    with pytest.raises(NoConnection):
        run(reader.read(given()))
    assert reader.describe_wait(7.0).startswith("nothing was heard of a within 7 s: is this the id")
    with pytest.raises(NoConnection):
        run(reader.read(given(("log", {}))))
    assert reader.describe_wait(7.0) == "a has not ended within 7 s"
