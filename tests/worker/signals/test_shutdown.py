"""What becomes of tasks that end with their worker. Of prefork: ``test_signal_table``."""

from __future__ import annotations

import signal

import celery
import pytest
from support.conditions import eventually
from support.event_log import end_of, in_task
from support.workers import Worker


@pytest.fixture
def own_worker(redis_server, request):
    """A worker whose tasks run in its own process, on a queue of its own."""
    pool = request.param
    how = {"broker": redis_server.url, "backend": redis_server.url, "pool": pool}
    with Worker("life", options=("-Q", f"cold-{pool}"), **how) as worker:
        yield worker


def is_lost(log, task):
    """Whether it was told to have ended with its worker, and nothing else."""
    events = log.events(task.id)
    assert in_task(events) == ["started", "log", "error"]
    assert log.ends_watched(task.id) == ["error"]
    return (end_of(events).status, end_of(events).error_type) == ("cancelled", "WorkerTerminate")


@pytest.mark.parametrize("own_worker", ["gevent"], indirect=True)
def test_a_cold_shutdown_that_kills_a_greenlet(life, own_worker, log):
    """Celery kills it and gets no further: the hub runs its handler, where nothing may wait."""
    task = life.sleeps.apply_async((60,), queue="cold-gevent")
    log.wait_for_words(task.id, "log")
    own_worker.quit()
    assert is_lost(log, task)
    assert task.state == "PENDING"


@pytest.mark.skipif(celery.VERSION < (5, 7), reason="No signal interrupts its waiting for threads")
@pytest.mark.parametrize("own_worker", ["threads"], indirect=True)
def test_a_worker_that_does_not_wait_for_its_threads(life, own_worker, log):
    """Python itself waits for them, until a signal interrupts that, too."""
    early = life.sleeps.apply_async((600,), queue="cold-threads")
    late = life.late.apply_async((600,), queue="cold-threads")
    log.wait_for_words(early.id, "log")
    log.wait_for_words(late.id, "started")
    interrupt(own_worker)
    own_worker.process.wait(60)
    assert is_lost(log, early)
    assert log.watched(late.id)[-1] == "retrying"
    assert log.ends_watched(late.id) == []


def interrupt(worker):
    """As who presses Ctrl-C until it ends."""
    for _ in range(10):
        worker.process.send_signal(signal.SIGQUIT)
        try:
            eventually(lambda: "Exception ignored " in worker.log, timeout=4)
        except AssertionError:
            continue
        return
    pytest.fail("Python waits for its threads still")
