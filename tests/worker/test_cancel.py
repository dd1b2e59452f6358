"""Tasks that are revoked while they run, on real workers: what they and their watchers are told.

How each pool ends them stands in ``tests/end_to_end/test_ends.py``.
"""

from __future__ import annotations

import importlib
import uuid

import pytest
import redis
from celery import chord
from celery.exceptions import ChordError, TaskRevokedError
from support.conditions import eventually
from support.event_log import end_of, in_task
from support.workers import Worker

from celery_wsprogress.protocol.events import Status


@pytest.fixture(scope="session")
def ends(life):
    """The project ``ends``, for callers."""
    return importlib.import_module("ends")


def worker_of(server, queue, *options, **how):
    how |= {"broker": server.url, "backend": server.url, "options": ("-Q", queue, *options)}
    return Worker("ends", **how)


def revoke(task, **arguments):
    task.app.control.broadcast("revoke", arguments={"task_id": task.id, **arguments})


def statuses(events, name):
    return [one.data for one in events if isinstance(one, Status) and one.data.status == name]


def test_the_reason_is_told_to_all(ends, redis_server, log):
    with worker_of(redis_server, "reason"):
        task = ends.looks_whether_it_is_cancelled.apply_async(queue="reason")
        log.wait_for_words(task.id, "log")
        revoke(task, reason="wrong file")
        end = end_of(log.wait_for_end(task.id))
        log.wait_for_words(task.id, "cancelling")
        with pytest.raises(TaskRevokedError, match="cancelled while it ran: wrong file"):
            task.get(timeout=30)
    assert (end.status, end.error_type) == ("cancelled", "TaskRevokedError")
    assert end.error == "the task was cancelled while it ran: wrong file"
    [told] = statuses(log.events(task.id), "cancelling")
    assert told.message == "asked to stop: wrong file"


def test_also_where_its_process_is_ended(ends, redis_server, log):
    with worker_of(redis_server, "ended"):
        task = ends.never_looks.apply_async(queue="ended")
        log.wait_for_words(task.id, "log")
        revoke(task, terminate=True, reason="wrong file")
        end = end_of(log.wait_for_end(task.id))
    assert end.error == "the task was terminated (signal 15): wrong file"
    assert statuses(log.events(task.id), "cancelling") == []


def test_also_where_it_comes_before_the_task(ends, redis_server, log):
    with worker_of(redis_server, "before"):
        task_id = str(uuid.uuid4())
        arguments = {"task_id": task_id, "reason": "wrong file"}
        ends.app.control.broadcast("revoke", arguments=arguments, reply=True, limit=1, timeout=60)
        ends.never_looks.apply_async(queue="before", task_id=task_id)
        end = end_of(log.wait_for_end(task_id))
    assert (end.status, end.error) == ("cancelled", "the task was revoked: wrong file")


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_pool_that_cannot_terminate_asks_the_task(ends, redis_server, log, pool):
    queue = f"asks-{pool}"
    with worker_of(redis_server, queue, pool=pool):
        task = ends.looks_whether_it_is_cancelled.apply_async(queue=queue)
        log.wait_for_words(task.id, "log")
        revoke(task, terminate=True)
        assert end_of(log.wait_for_end(task.id)).status == "cancelled"
        log.wait_for_words(task.id, "cancelling")
    [told] = statuses(log.events(task.id), "cancelling")
    assert told.message == "its pool cannot terminate it, so it is asked to stop"


def test_what_another_worker_stores_meanwhile_is_not_the_end(ends, redis_server, log):
    """One that does not run the task says REVOKED in the backend at once (Celery 5.7)."""
    with worker_of(redis_server, "runs"), worker_of(redis_server, "does-not"):
        task = ends.never_looks.apply_async(queue="runs")
        log.wait_for_words(task.id, "log")
        revoke(task)
        assert end_of(log.wait_for_end(task.id)).status == "completed"
        assert task.state == "SUCCESS"


def test_a_child_that_is_forked_later_is_told_too(ends, redis_server, log):
    with worker_of(redis_server, "later", "--max-tasks-per-child", "1", concurrency=1):
        for _ in range(3):
            task = ends.looks_whether_it_is_cancelled.apply_async(queue="later")
            log.wait_for_words(task.id, "log")
            revoke(task)
            assert end_of(log.wait_for_end(task.id)).status == "cancelled"


def test_the_chord_of_a_cancelled_task_fails(ends, redis_server, log):
    with worker_of(redis_server, "chord"):
        header = ends.looks_whether_it_is_cancelled.s().set(queue="chord")
        body = chord([header, ends.collects.s().set(queue="chord")])(
            ends.collects.s().set(queue="chord")
        )
        task = body.parent.results[0]
        log.wait_for_words(task.id, "log")
        revoke(task)
        log.wait_for_end(task.id)
        with pytest.raises((ChordError, TaskRevokedError)):
            body.get(timeout=30)


def test_a_task_that_nobody_watches_is_cancelled_too(ends, redis_server, log):
    with worker_of(redis_server, "unseen", environment={"WSPROGRESS_ENABLED": "no"}):
        told = ends.plain_and_cancelled.apply_async((str(uuid.uuid4()),), queue="unseen")
        # It revokes itself once it runs.
        with pytest.raises(TaskRevokedError):
            told.get(timeout=30)
    assert in_task(log.events(told.id)) == []


def test_a_solo_worker_that_stops_leaves_no_queue_behind(ends, redis_server):
    client = redis.Redis.from_url(redis_server.url)

    with worker_of(redis_server, "leaves", pool="solo") as worker:
        name = f"wsprogress.{worker.name}".encode()

        def bound():
            return [one for one in client.smembers("_kombu.binding.celery.pidbox") if name in one]

        eventually(bound)
        worker.stop()
        assert bound() == []
