from __future__ import annotations

import pytest
from support.sample_events import status

from celery_wsprogress.brokers import MAX_BATCH_BYTES
from celery_wsprogress.brokers.result_backend import Outcome
from celery_wsprogress.operations.operation import Operation
from celery_wsprogress.protocol import batches, jsonable, messages
from celery_wsprogress.sidecar.liveness import inferred_events
from celery_wsprogress.sidecar.liveness.inferred_events import SilentRun


@pytest.fixture
def silence():
    operation = Operation("op-1", first_seen_at=1.0)
    operation.fold(status("started", metadata={}, worker="celery@here"))
    return SilentRun(operation, operation.run, 30.0, 50.0)


def test_every_conclusion_is_marked_and_names_its_run(silence):
    outcome = Outcome("completed", 42)
    found = [
        inferred_events.stalled(silence),
        inferred_events.lost(silence),
        *inferred_events.ended(silence, outcome),
        *inferred_events.ended_unknown("op-1", 50.0, outcome),
    ]
    assert all(event.inferred and event.operation_id == "op-1" for event in found)
    assert [event.run for event in found] == ["r1"] * 4 + [inferred_events.BACKEND_RUN] * 2
    assert {event.timestamp for event in found} == {50.0}


def test_a_client_does_not_see_the_mark(silence):
    frame = messages.encode_event_frame(inferred_events.lost(silence), "e.1.0")
    assert b"inferred" not in frame
    assert b'"event_type":"error"' in frame


def test_a_large_result_is_cut_as_a_workers_would_be(silence):
    ends = inferred_events.ended(silence, Outcome("completed", "x" * 2_000_000))
    assert ends[0].data.truncated
    body = batches.join_batch("w", 1, [batches.encode_event(event) for event in ends])
    assert len(body) < jsonable.MAX_RESULT_BYTES < MAX_BATCH_BYTES


@pytest.mark.parametrize(("end", "shown"), [("error", "error"), ("cancelled", "cancelled")])
def test_other_ends(silence, end, shown):
    [error] = inferred_events.ended(silence, Outcome(end, None, "revoked", "TaskRevokedError"))
    assert (error.data.status, error.data.error_type) == (shown, "TaskRevokedError")


@pytest.mark.parametrize(("full", "shown"), [(False, jsonable.WITHHELD), (True, "secret")])
def test_what_the_error_of_an_unknown_operation_says_is_shown_where_it_was_asked_for(full, shown):
    outcome = Outcome("error", None, "secret", "ValueError")
    [error] = inferred_events.ended_unknown("op-1", 50.0, outcome, streams_errors=full)
    assert (error.data.error, error.data.error_type) == (shown, "ValueError")
