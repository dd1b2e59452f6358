"""What the assertions say of what was recorded."""

from __future__ import annotations

import threading

import pytest

from celery_wsprogress.testing import Recorded, assert_progress
from celery_wsprogress.testing.recorded import DIRECT


def recorded(*events):
    found = Recorded()
    for operation_id, kind, data in events:
        found.add({"operation_id": operation_id, "event_type": kind, "run": "r", "data": data})
    return found


def progress(fraction, message="", operation_id="one"):
    return operation_id, "progress", {"progress": fraction, "message": message}


COMPLETED = ("one", "completed", {"status": "completed"})
FAILED = ("one", "error", {"status": "error", "error": "broken", "error_type": "ValueError"})
CANCELLED = ("one", "error", {"status": "cancelled", "error": "revoked", "error_type": "Revoked"})


@pytest.mark.parametrize(
    ("end", "name"), [(COMPLETED, "completed"), (FAILED, "error"), (CANCELLED, "cancelled")]
)
def test_an_end_is_the_expected_one(end, name):
    found = recorded(progress(0.5), end)
    assert found.end == name
    assert_progress(found, ends=name)
    other = "error" if name != "error" else "completed"
    with pytest.raises(
        AssertionError, match=f"expected to end as {other}, but one ended as {name}"
    ):
        assert_progress(found, ends=other)


def test_an_error_is_quoted():
    with pytest.raises(AssertionError, match="ended as error: ValueError: broken"):
        assert_progress(recorded(progress(0.5), FAILED), ends="completed")


def test_a_task_that_goes_on_has_no_end():
    with pytest.raises(AssertionError, match="not ended: one"):
        assert_progress(recorded(progress(0.5)), ends="completed", timeout=0)


def test_an_end_is_waited_for():
    found = recorded(progress(0.5))
    later = {"operation_id": "one", "event_type": "completed", "data": {"status": "completed"}}
    thread = threading.Timer(0.05, found.add, [later])
    thread.start()
    assert_progress(found, ends="completed", timeout=60)
    thread.join()


def test_a_call_as_a_function_completes_by_returning():
    found = recorded(progress(0.5, operation_id=DIRECT))
    assert_progress(found, ends="completed")
    with pytest.raises(AssertionError, match="completes by returning"):
        assert_progress(found, ends="error")


def test_progress_falls():
    found = recorded(progress(0.5, "half"), progress(0.4), progress(1.0), COMPLETED)
    assert_progress(found, ends="completed")
    with pytest.raises(AssertionError, match=r"of one fell from 0.5 \('half'\) to 0.4"):
        assert_progress(found, monotonic=True)


def test_each_task_has_its_own_progress():
    found = recorded(progress(0.5), progress(0.1, operation_id="two"), progress(0.6))
    assert_progress(found, monotonic=True)
    assert found.operation_ids == ["one", "two"]
    assert_progress(found.of("two"), monotonic=True)


def test_without_progress_it_says_what_there_was():
    with pytest.raises(AssertionError, match=r"no task has reported anything.*wsprogress_enabled"):
        assert_progress(recorded())
    with pytest.raises(AssertionError, match="no progress was reported, only completed"):
        assert_progress(recorded(COMPLETED), ends="completed")
