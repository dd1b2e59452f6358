"""What tasks report is recorded: eager, called as functions, on a worker."""

from __future__ import annotations

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery.exceptions import Ignore

from celery_wsprogress import StreamingTask, update_progress
from celery_wsprogress.testing import assert_progress, record_progress
from celery_wsprogress.worker.context import current_tracker

app = Celery("recorded", broker="memory://", backend="cache+memory://", set_as_current=False)
app.conf.broker_transport_options = {"polling_interval": 0.02}


@app.task(base=StreamingTask)
def import_rows(self, rows):
    """Says each row, much faster than progress is published."""
    for number in range(1, rows + 1):
        self.update_progress(current=number, total=rows, unit="rows")
    self.log("info", "done", rows=rows)
    helps()
    return rows


def helps():
    update_progress(1.0, "checked")


@app.task(base=StreamingTask)
def fails(self):
    """Fails half way."""
    self.update_progress(0.5)
    raise ValueError("broken")


@app.task(base=StreamingTask, max_retries=1)
def retries(self):
    """Begins again, from the start."""
    self.update_progress(0.8)
    if not self.request.retries:
        raise self.retry(countdown=0)
    self.update_progress(0.9)


@app.task(base=StreamingTask)
def ignores(self):
    """Leaves its end to the result backend."""
    self.update_progress(0.3)
    raise Ignore


@app.task(base=StreamingTask)
def calls(self):
    """Calls another task as a function, and one eagerly."""
    self.update_progress(0.1)
    import_rows(2)
    import_rows.apply([3])


@pytest.fixture
def recorded():
    with record_progress() as recorded:
        yield recorded


@pytest.fixture(scope="module")
def worker():
    """One in this process; ``test_plugin`` shows that nothing is left of such a one."""
    with start_worker(app, pool="threads", concurrency=2, perform_ping_check=False):
        yield


def fractions(recorded):
    return [report["progress"] for report in recorded.progress]


def test_a_task_that_is_called_as_a_function(recorded):
    assert import_rows(4) == 4
    assert fractions(recorded) == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert recorded.progress[0]["unit"] == "rows"
    assert [(line["message"], line["details"]) for line in recorded.logs] == [("done", {"rows": 4})]
    assert recorded.end is None
    assert_progress(recorded, ends="completed", monotonic=True)


def test_the_body_of_a_task(recorded):
    import_rows.run(2)
    assert fractions(recorded) == [0.5, 1.0, 1.0]


def test_an_eager_task(recorded):
    result = import_rows.apply([4])
    assert fractions(recorded) == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert recorded.operation_ids == [result.id]
    assert recorded.end == "completed"
    assert_progress(recorded, ends="completed", monotonic=True)


def test_an_eager_task_that_fails(recorded):
    fails.apply()
    assert recorded.end == "error"
    assert_progress(recorded, ends="error")


def test_a_task_on_a_worker(recorded, worker):
    result = import_rows.delay(4)
    assert result.get(timeout=60) == 4
    assert_progress(recorded, ends="completed", monotonic=True, timeout=60)
    assert fractions(recorded.of(result)) == [0.25, 0.5, 0.75, 1.0, 1.0]
    states = [one["data"]["status"] for one in recorded.events if one["event_type"] == "status"]
    assert set(states) >= {"queued", "received", "started"}


def test_several_tasks_on_a_worker_are_told_apart(recorded, worker):
    results = [import_rows.delay(rows) for rows in (1, 2, 3)]
    assert recorded.wait_for_ends(60) == []
    assert [len(recorded.of(one).progress) for one in results] == [2, 3, 4]
    assert_progress(recorded, ends="completed", monotonic=True)


def test_an_attempt_begins_again(recorded, worker):
    result = retries.delay()
    result.get(timeout=60)
    assert_progress(recorded, ends="completed", monotonic=True, timeout=60)
    assert fractions(recorded) == [0.8, 0.8, 0.9]


def test_a_task_that_raises_ignore(recorded, worker):
    ignores.delay()
    assert_progress(recorded, ends="completed", timeout=60)


def test_tasks_inside_a_task(recorded):
    result = calls.apply()
    assert fractions(recorded.of(result)) == [0.1, 0.5, 1.0, 1.0]
    [inner] = set(recorded.operation_ids) - {result.id}
    assert len(recorded.of(inner).progress) == 4


def test_nothing_is_recorded_outside():
    with record_progress() as recorded:
        pass
    import_rows.apply([2])
    import_rows(2)
    assert recorded.events == []
    assert current_tracker.get() is None


def test_an_inner_recorder_takes_what_comes(recorded):
    with record_progress() as inner:
        import_rows.apply([1])
    fails.apply()
    assert fractions(inner) == [1.0, 1.0]
    assert fractions(recorded) == [0.5]
