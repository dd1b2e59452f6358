"""Checks in a process whose table the test writes, as the main process of a worker does."""

from __future__ import annotations

import pickle

import pytest
from celery import Celery

from celery_wsprogress import (
    StreamingTask,
    TaskCancelled,
    is_cancelled,
    raise_if_cancelled,
)
from celery_wsprogress.worker import context
from celery_wsprogress.worker.cancel import table as tables
from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.tracker import Tracker

app = Celery("checks", broker="memory://", set_as_current=False)


@app.task(base=StreamingTask)
def works(self):
    """A task."""


@pytest.fixture
def table():
    """The table of this process, as if it were a worker."""
    yield tables.renew()
    tables.renew()


@pytest.fixture
def enter():
    entered = []

    def enter_run(operation_id, parent=None):
        tracker = Tracker(RunInfo(operation_id, works.name), None, parent)
        context.enter(tracker)
        entered.append(tracker)
        return tracker

    yield enter_run
    for tracker in reversed(entered):
        context.leave(tracker)


def test_a_task_is_told_with_self_and_without(table, enter):
    enter("a")
    assert not works.cancelled
    assert not is_cancelled()
    table.add("a", "enough")
    assert works.cancelled
    assert is_cancelled()
    for stop in (works.raise_if_cancelled, raise_if_cancelled):
        with pytest.raises(TaskCancelled) as caught:
            stop()
        assert caught.value.args == ("enough",)


def test_a_run_inside_of_another_is_cancelled_with_it(table, enter):
    enter("inner", enter("outer"))
    table.add("outer", "enough")
    assert is_cancelled()
    with pytest.raises(TaskCancelled, match="enough"):
        raise_if_cancelled()


def test_a_task_that_is_not_published_is_told_too(table):
    works.push_request(id="a")
    try:
        assert not works.cancelled
        table.add("a", "")
        assert works.cancelled
        with pytest.raises(TaskCancelled):
            works.raise_if_cancelled()
    finally:
        works.pop_request()


def test_code_without_a_task_is_not_cancelled(table):
    table.add("a", "")
    assert not is_cancelled()
    raise_if_cancelled()


def test_the_exception_leaves_its_process():
    """A pool process sends it to the main process."""
    exception = pickle.loads(pickle.dumps(TaskCancelled("enough")))
    assert (type(exception), exception.args) == (TaskCancelled, ("enough",))
