"""The thread that mirrors progress: failures, idleness, forks."""

from __future__ import annotations

import logging
import threading

import pytest
from celery import Celery
from support import forks
from support.celery_events import progress_events
from support.conditions import eventually

from celery_wsprogress.worker.mirror.flower_mirror import FlowerMirror, open_mirror
from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.tracker import Tracker


class Sender:
    """A connection that fails as often as is wanted."""

    def __init__(self, failures=0):
        self.failures = failures
        self.sent = []
        self.opened = 0
        self.open = False

    def __call__(self):
        self.opened += 1
        self.open = True
        return self

    def send(self, worker, fields):
        if self.failures:
            self.failures -= 1
            raise ConnectionError("redis://:secret@here is away")
        self.sent.append((worker, fields))

    def close(self):
        self.open = False
        raise OSError("it is gone anyway")


@pytest.fixture
def make_mirror():
    mirrors = []

    def make(sender, idle_time=3_600.0):
        mirrors.append(FlowerMirror(sender, idle_time))
        return mirrors[-1]

    yield make
    for mirror in mirrors:
        mirror.close()


def reporting(name="one"):
    tracker = Tracker(RunInfo(name, "proj.import_rows", worker="celery@here"), None)
    tracker.update_progress(current=3, total=10, unit="rows")
    return tracker


EVENT = {"uuid": "one", "progress": "30% (3/10 rows)", "current": 3, "total": 10}


def test_progress_of_a_run_is_sent_under_its_id_and_its_worker(make_mirror):
    sender, tracker = Sender(), reporting()
    make_mirror(sender).add(tracker)
    assert eventually(lambda: sender.sent) == [("celery@here", EVENT)]


def test_a_broker_that_fails_is_reported_once_without_its_address(make_mirror, caplog):
    caplog.set_level(logging.DEBUG, logger="celery_wsprogress")
    sender, tracker = Sender(failures=2), reporting()
    make_mirror(sender).add(tracker)
    assert eventually(lambda: sender.sent) == [("celery@here", EVENT)]
    lines = [one for one in caplog.records if "Flower" in one.getMessage()]
    assert [one.levelname for one in lines] == ["WARNING", "DEBUG"]
    assert "secret" not in caplog.text
    assert sender.opened == 3


def test_a_connection_without_events_is_closed_and_opened_again(make_mirror):
    sender, tracker = Sender(), reporting()
    mirror = make_mirror(sender, idle_time=0.05)
    mirror.add(tracker)
    eventually(lambda: sender.sent and not sender.open)
    tracker.update_progress(0.5)
    eventually(lambda: len(sender.sent) == 2)
    assert sender.opened == 2
    tracker.mark_ended()
    other = reporting("other")
    mirror.add(other)
    eventually(lambda: len(sender.sent) == 3)


def threads():
    return [one for one in threading.enumerate() if one.name == "celery-wsprogress-flower"]


def test_the_thread_ends_when_the_mirror_is_closed(make_mirror):
    sender, tracker = Sender(), reporting()
    mirror = make_mirror(sender)
    before = set(threads())
    mirror.add(tracker)
    eventually(lambda: sender.sent)
    [thread] = set(threads()) - before
    tracker.mark_ended()
    mirror.close()
    thread.join(60)
    assert not thread.is_alive()
    assert not sender.open
    mirror.add(reporting("other"))
    assert set(threads()) <= before


def hear(app, begin):
    """Return the events that a monitor hears from now on, the first of them."""
    with progress_events(app) as wait_for:
        begin()
        return [(event["uuid"], event["progress"]) for event in wait_for(1)]


@pytest.mark.redis
def test_a_child_of_a_fork_has_a_thread_and_a_connection_of_its_own(redis_url):
    app = Celery(broker=redis_url, set_as_current=False)
    mirror = open_mirror(app, 3_600.0)
    parent, child = reporting("parent"), reporting("child")
    assert hear(app, lambda: mirror.add(parent)) == [("parent", "30% (3/10 rows)")]
    in_child = forks.in_child(lambda: hear(app, lambda: mirror.add(child)))
    assert in_child == "[('child', '30% (3/10 rows)')]"
    assert hear(app, lambda: parent.update_progress(0.5)) == [("parent", "50%")]
    mirror.close()
