"""What ``update_state()`` is called with, as progress."""

from __future__ import annotations

from decimal import Decimal

import pytest
from celery import Celery, states

from celery_wsprogress import StreamingTask
from celery_wsprogress.protocol.events import Status
from celery_wsprogress.worker.capture.update_state import read_meta, report_state

NOTHING = (None, "", None, None, None)


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"current": 3, "total": 10}, (None, "", 3, 10, None)),
        ({"done": 3, "total": 10, "unit": "rows"}, (None, "", 3, 10, "rows")),
        ({"current": Decimal(3), "total": 10.0, "percent": 99}, (None, "", 3, 10, None)),
        ({"current": 3}, (None, "", 3, None, None)),
        ({"current": 3, "total": 0, "percent": 0}, (None, "", 3, None, None)),
        ({"current": 11, "total": 10}, (None, "", 11, None, None)),
        ({"current": 3, "percent": 50}, (0.5, "", 3, None, None)),
        ({"total": 10}, NOTHING),
        ({"percent": 37.5}, (0.375, "", None, None, None)),
        ({"percent": 101}, NOTHING),
        ({"progress": 0.25}, (0.25, "", None, None, None)),
        ({"progress": 25}, NOTHING),
        ({"percent": "25", "progress": True, "current": [], "unit": 3}, NOTHING),
        ({"description": "", "message": "b", "status": "c"}, (None, "b", None, None, None)),
        ({"status": 200}, NOTHING),
        ({"password": "secret"}, NOTHING),
        (None, NOTHING),
        ("text", NOTHING),
        (ValueError("x"), NOTHING),
    ],
)
def test_the_shapes_that_are_read(meta, expected):
    assert read_meta(meta) == expected


def labels(sink):
    return [(one.data.status, one.data.message) for one in sink.events if isinstance(one, Status)]


def test_progress_is_nothing_but_progress(tracker, sink):
    report_state(tracker, "PROGRESS", {"current": 3, "total": 10, "description": "Reading"})
    assert sink.shown == [("Reading", 3, 10, None)]
    report_state(tracker, "PROGRESS", {"message": "still"})
    assert sink.last == ("still", None, None, None)
    report_state(tracker, "PROGRESS", {"other": 1})
    report_state(tracker, "PROGRESS", None)
    assert len(sink.shown) == 2
    assert labels(sink) == []


def test_another_state_is_a_label_when_it_changes(tracker, sink):
    for number in range(3):
        report_state(tracker, "LOADING", {"current": number, "total": 3, "message": f"{number}"})
    assert labels(sink) == [("LOADING", "0")]
    assert sink.last == ("2", 2, 3, None)
    for _ in range(2):
        report_state(tracker, "UPLOADING", {"message": "to the mirror"})
    report_state(tracker, "UPLOADING", {"message": "to the archive"})
    assert labels(sink)[1:] == [("UPLOADING", "to the mirror"), ("UPLOADING", "to the archive")]
    assert len(sink.shown) == 3


@pytest.mark.parametrize("state", [*sorted(states.ALL_STATES), "IGNORED", "REJECTED", None, 3])
def test_states_of_celery_are_left_alone(tracker, sink, state):
    report_state(tracker, state, {"current": 3, "total": 10, "message": "Reading"})
    assert sink.shown == []
    assert sink.events == []


def make(**settings):
    """A task of an app of its own."""
    app = Celery("states", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.update(settings)

    @app.task(shared=False, name="tasks.demo", base=StreamingTask)
    def demo():
        pass

    return app.tasks["tasks.demo"]


META = {"current": 3, "total": 10}


def stored(task, task_id="op-1"):
    result = task.app.AsyncResult(task_id)
    return result.state, result.info


def test_the_backend_gets_what_it_got(sink):
    task = make()
    task.update_state(task_id="op-1", state="PROGRESS", meta=META)
    assert stored(task) == ("PROGRESS", META)
    task.update_state("op-1", "PROGRESS", {"current": 4, "total": 10})
    assert stored(task) == ("PROGRESS", {"current": 4, "total": 10})
    assert [one.current for one in sink.shown] == [3, 4]


def test_another_task_is_left_alone(sink):
    task = make()
    task.update_state("another", "PROGRESS", META)
    assert sink.shown == []
    assert stored(task, "another") == ("PROGRESS", META)


@pytest.mark.parametrize(
    ("own", "setting", "reported"),
    [(None, True, 1), (None, False, 0), (False, True, 0), (True, False, 1)],
)
def test_it_can_be_switched_off(tracker, own, setting, reported):
    task = make(wsprogress_capture_update_state=setting)
    task.capture_update_state = own
    task.update_state("op-1", "PROGRESS", META)
    assert len(tracker.sink.shown) == reported
    assert stored(task) == ("PROGRESS", META)


def test_outside_of_a_run_only_the_backend_is_told():
    task = make()
    task.update_state("op-1", "PROGRESS", META)
    assert stored(task) == ("PROGRESS", META)


def test_what_cannot_be_read_raises_nothing(sink):
    class Odd(dict):
        def get(self, *_):
            raise RuntimeError

    make().update_state("op-1", "PROGRESS", Odd(current=1))
    assert sink.shown == []
