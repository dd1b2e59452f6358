"""The recorder of celery-progress, in its place."""

from __future__ import annotations

import threading
import uuid

import pytest
from celery import Celery, Task
from support.trackers import make_tracker

from celery_wsprogress import StreamingTask
from celery_wsprogress.contrib.celery_progress import ProgressRecorder
from celery_wsprogress.worker import context


@pytest.fixture
def task_id():
    # The backend of all tests is one memory.
    return str(uuid.uuid4())


@pytest.fixture
def tracker(task_id):
    tracker = make_tracker(task_id)
    context.enter(tracker)
    yield tracker
    context.leave(tracker)


@pytest.fixture(params=[StreamingTask, Task], ids=lambda base: base.__name__)
def task(request, task_id):
    app = Celery("old", broker="memory://", backend="cache+memory://", set_as_current=False)

    @app.task(shared=False, name="tasks.demo", base=request.param)
    def demo():
        pass

    task = app.tasks["tasks.demo"]
    task.push_request(id=task_id)
    yield task
    task.pop_request()


@pytest.fixture
def stored(task, task_id):
    """What the backend has."""
    result = task.app.AsyncResult(task_id)
    return lambda: (result.state, result.info)


def test_it_writes_what_the_original_writes_and_reports_it(tracker, task, stored):
    meta = {
        "pending": False,
        "current": 1,
        "total": 3,
        "percent": 33.33,
        "description": "Reading",
    }
    assert ProgressRecorder(task).set_progress(1, 3, description="Reading") == ("PROGRESS", meta)
    assert stored() == ("PROGRESS", meta)
    assert tracker.sink.last == ("Reading", 1, 3, None)


def test_it_counts(tracker, task, stored):
    recorder = ProgressRecorder(task)
    recorder.increment_progress()
    recorder.increment_progress(by=2, description="more")
    assert (recorder.current, recorder.total, recorder.description) == (3, 0, "more")
    # The total is not known.
    assert tracker.sink.last == ("more", 3, None, None)
    recorder.set_progress(4, 10)
    recorder.increment_progress()
    assert tracker.sink.last == ("", 5, 10, None)
    assert recorder.description == "more"
    assert stored()[1]["percent"] == 50.0


def test_it_also_works_in_a_thread_of_the_task(tracker, task, stored):
    thread = threading.Thread(target=ProgressRecorder(task).set_progress, args=(1, 4))
    thread.start()
    thread.join()
    assert tracker.sink.last == ("", 1, 4, None)
    assert stored()[0] == "PROGRESS"


def test_outside_of_a_run_only_the_backend_is_told(task, stored):
    ProgressRecorder(task).set_progress(1, 4)
    assert stored()[0] == "PROGRESS"


def test_a_task_that_is_called_as_a_function_has_no_backend(task, stored):
    task.push_request(id=None)
    ProgressRecorder(task).set_progress(1, 4)
    task.pop_request()
    assert stored()[0] == "PENDING"


def test_what_is_no_number_is_an_error(task):
    with pytest.raises(TypeError):
        ProgressRecorder(task).set_progress(1, "4")
