"""Child processes that are not forked, and report for the task that started them."""

from __future__ import annotations

import importlib
import pickle

import pytest
from support.conditions import eventually
from support.event_log import in_task
from support.trackers import make_tracker
from support.workers import Worker

from celery_wsprogress import relay
from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.protocol.events import Log, Progress, Status
from celery_wsprogress.settings import WorkerSettings
from celery_wsprogress.worker import context
from celery_wsprogress.worker.publishing.publishers import open_publisher
from celery_wsprogress.worker.redaction import Redactor
from celery_wsprogress.worker.relay import Relay, _restored, _state_of
from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.tracker import Tracker

ADDRESS = BrokerAddress("redis://user:hunter2@localhost:1/0")


def test_spawned_children_report_for_their_task(redis_server, log, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROKER_URL", redis_server.url)
        patch.setenv("RESULT_BACKEND", redis_server.url)
        bars = importlib.import_module("bars")
    with Worker(
        "bars",
        broker=redis_server.url,
        backend=redis_server.url,
        pool="threads",
        options=("-Q", "relay"),
    ):
        gate = tmp_path / "gate"
        arguments = {name: (name, str(gate)) for name in "ab"}
        tasks = {
            name: bars.has_children.apply_async(arguments[name], queue="relay") for name in "ab"
        }
        for name, task in tasks.items():
            eventually(lambda: lasts(log.events(task.id)) == (2, 2), what=f"the children of {name}")  # noqa: B023
        gate.touch()
        for name, task in tasks.items():
            events = log.wait_for_end(task.id)
            lines = sorted(one.data.message for one in events if isinstance(one, Log))
            assert lines == [f"{name} 0", f"{name} 1"]
            reported = [one.data for one in events if isinstance(one, Progress)]
            assert {one.message for one in reported} == {name}
            assert in_task(events)[-2:] == ["result", "completed"]


def lasts(events):
    """The newest progress, and the number of labels."""
    reported = [one.data.current for one in events if isinstance(one, Progress)]
    labels = [one for one in events if isinstance(one, Status) and one.data.status == "in a child"]
    return reported[-1:] and reported[-1], len(labels)


# The handle.


def make(redactor=None):
    publisher = open_publisher(ADDRESS, WorkerSettings(sign_interval=7.0))
    return Tracker(RunInfo("op-1", "tasks.demo", "r1"), publisher, redactor=redactor)


def test_it_reports_in_the_process_of_the_task():
    tracker = make_tracker()
    token = context.current_tracker.set(tracker)
    handle = relay()
    context.current_tracker.reset(token)
    handle.update_progress(current=1, total=2, unit="files", message="one")
    handle.update_status("busy")
    handle.log("info", "line", number=1)
    assert tracker.sink.last == ("one", 1, 2, "files")
    assert [type(one).__name__ for one in tracker.sink.events] == ["Status", "Log"]


def test_outside_of_a_task_it_only_checks_its_arguments():
    for handle in (relay(), pickle.loads(pickle.dumps(relay()))):
        handle.update_progress(0.5)
        handle.update_status("busy")
        handle.log("info", "line")
        with pytest.raises(TypeError):
            handle.update_progress("half")


def test_a_run_that_is_not_published_is_not_relayed():
    assert _state_of(Tracker(RunInfo("op-1", "tasks.demo"), None)) is None
    assert _state_of(make_tracker()) is None


def test_a_child_is_told_the_run_and_where_to_report():
    tracker = make()
    run, address, settings, redactor = pickle.loads(_state_of(tracker))
    assert (run, address, redactor) == (tracker.run, ADDRESS, None)
    assert settings.sign_interval == 7.0
    handle = Relay(tracker)
    assert "hunter2" not in repr(handle) + str(handle)


def test_each_process_opens_one_publisher():
    state = _state_of(make())
    one, other = _restored(state), _restored(state)
    assert one._tracker is other._tracker
    another = _restored(_state_of(Tracker(RunInfo("op-2", "tasks.demo"), make().sink)))
    assert another._tracker is not one._tracker
    assert another._tracker.sink is one._tracker.sink


def test_what_is_hidden_stays_hidden():
    named = pickle.loads(_state_of(make(Redactor("tasks.demo", ["password"])))).redactor
    assert named.to_object({"password": "x", "n": 1}) == {"password": "[redacted]", "n": 1}


def test_a_function_that_cannot_be_pickled_hides_everything():
    local = Redactor("tasks.demo", (), lambda value: value)
    hides = pickle.loads(_state_of(make(local))).redactor
    assert hides.to_object({"n": 1}) == {}


def test_what_a_child_cannot_read_reports_nothing():
    _restored(b"no pickle").update_progress(0.5)
