"""What a task says from threads that it started without its context."""

from __future__ import annotations

import logging
import threading

import pytest
from support.conditions import eventually
from support.event_log import in_task
from support.workers import Worker

from celery_wsprogress.protocol.events import Log
from celery_wsprogress.worker import context
from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.tracker import Tracker

LINES = {"pool 0", "pool 1", "pool 2", "thread", "executor", "to_thread"}


def lines(log, task):
    return [e.data.message for e in log.events(task.id) if isinstance(e, Log)]


def test_self_speaks_from_any_thread(life, redis_server, log):
    with own_worker(redis_server, "threads-1", concurrency=1) as worker:
        task = life.threads.apply_async(queue="threads-1")
        events = log.wait_for_end(task.id)
        assert set(lines(log, task)) >= LINES
        assert in_task(events)[-2:] == ["result", "completed"]
        assert worker.log.count("log(): called in a thread that does not know") == 1
        left = life.leaves_a_thread.apply_async(queue="threads-1")
        log.wait_for_end(left.id)
        life.wakes.apply_async(queue="threads-1").get(timeout=30)
        log.wait_for_end(life.add.apply_async((1, 2), queue="threads-1").id)
        assert lines(log, left) == []


def test_where_several_runs_go_on_it_is_said_once(life, redis_server, log, tmp_path):
    gate = tmp_path / "gate"
    with own_worker(redis_server, "threads-2", pool="threads", concurrency=2) as worker:
        tasks = [life.threads.apply_async((3, str(gate)), queue="threads-2") for _ in range(2)]
        for task in tasks:
            log.wait_for_words(task.id, "started")
        gate.touch()
        for task in tasks:
            log.wait_for_end(task.id)
        eventually(lambda: "life.threads: a thread of it reports while several" in worker.log)
        assert worker.log.count("a thread of it reports while several") == 1


# Which run it is.


class Sink:
    def __init__(self):
        self.said = []

    def schedule(self, slot):
        self.said.append(slot)

    def emit(self, reports, *, after=None):
        self.said += reports


class Task:
    name = "tasks.demo"


@pytest.fixture(autouse=True)
def anew(monkeypatch):
    monkeypatch.setattr(context, "_logged", set())
    monkeypatch.setattr(context, "_active_trackers", {})


def run(name="tasks.demo", operation_id="op"):
    return Tracker(RunInfo(operation_id, name, "r"), Sink())


def elsewhere(function, *arguments):
    """What it returns in a thread that knows nothing of this one's context."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function(*arguments)))
    thread.start()
    thread.join()
    return found[0]


def test_the_one_run_of_the_task_is_meant():
    one, other = run(), run("tasks.other")
    context.enter(one)
    assert elsewhere(context.tracker_of, Task()) is one
    elsewhere(context.enter, other)
    assert elsewhere(context.tracker_of, Task()) is one
    assert elsewhere(context.active_tracker, "op") is not None
    context.leave(one)
    assert elsewhere(context.tracker_of, Task()) is None


def test_of_several_none_is_guessed(caplog):
    one, two = run(), run(operation_id="op-2")
    context.enter(one)
    elsewhere(context.enter, two)
    for _ in range(3):
        assert elsewhere(context.tracker_of, Task()) is None
    assert context.tracker_of(Task()) is one
    assert caplog.text.count("contextvars.copy_context().run") == 1
    context.leave(one)
    assert elsewhere(context.tracker_of, Task()) is two
    context.leave(two)


def test_a_thread_that_is_left_says_nothing(caplog):
    caplog.set_level(logging.DEBUG)
    other = run("tasks.other")
    context.enter(other)
    for _ in range(2):
        assert elsewhere(context.tracker_of, Task()) is None
    assert caplog.text.count("no run of it is active here") == 1
    context.leave(other)


def test_functions_guess_nothing_and_say_so_once(caplog):
    one = run()
    context.enter(one)
    for _ in range(2):
        elsewhere(context.log, "info", "whose?")
        elsewhere(context.update_progress, 0.5)
    assert caplog.text.count("log(): called in a thread") == 1
    assert one.sink.said == []
    context.leave(one)


def test_a_run_whose_end_was_never_heard_is_forgotten():
    one, two = run(), run(operation_id="op-2")
    context.enter(one)
    context.enter(two)
    assert elsewhere(context.tracker_of, Task()) is two
    context.leave(two)


def own_worker(server, queue, **how):
    return Worker("life", broker=server.url, backend=server.url, options=("-Q", queue), **how)
