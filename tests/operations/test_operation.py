"""What an operation takes from its events, whoever says it."""

from __future__ import annotations

import pytest
from support.sample_events import OPERATION, completed, error, progress, status

from celery_wsprogress.operations.operation import Operation


@pytest.fixture
def operation():
    made = Operation(OPERATION, first_seen_at=0.0)
    made.fold(status("started", metadata={}, attempt=1))
    return made


@pytest.mark.parametrize("end", [completed, error])
def test_an_end_may_name_its_attempt(operation, end):
    operation.fold(end(attempt=3))
    assert operation.attempt == 3


@pytest.mark.parametrize("end", [completed, error])
def test_an_end_that_names_no_attempt_leaves_it(operation, end):
    operation.fold(end())
    assert operation.attempt == 1


def test_a_task_that_is_replaced_may_withhold_the_errors_of_what_follows(operation):
    assert operation.streams_errors
    operation.fold(status("replaced", publication=""))
    assert operation.streams_errors
    withholding = Operation(OPERATION, first_seen_at=0.0)
    withholding.fold(status("started", metadata={}))
    withholding.fold(status("replaced", publication="", stream_errors=False))
    assert not withholding.streams_errors


@pytest.mark.parametrize(("end", "kept"), [("replaced", 0.4), ("retrying", None)])
def test_progress_is_kept_over_a_replacement_and_not_over_a_retry(operation, end, kept):
    operation.fold(progress(0.4))
    operation.fold(status(end, publication=""))
    operation.fold(status("started", run="r2", publication="p2", after="r1", metadata={}))
    assert operation.is_current_run("r2")
    last = operation.last_progress
    assert (last and last.progress) == kept
