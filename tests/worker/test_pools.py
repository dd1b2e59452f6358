"""The same task says the same in every pool, and a worker that stops says everything first."""

from __future__ import annotations

import signal

import pytest
from support.conditions import eventually
from support.event_log import LogReader, end_of, in_task
from support.workers import Worker

from celery_wsprogress.protocol.events import Log, Progress


@pytest.mark.parametrize("pool", ["threads", "solo", "gevent"])
def test_every_pool(life, redis_server, log, pool):
    with own_worker(redis_server, pool, pool=pool):
        tasks = [getattr(life, name).apply_async(queue=pool) for name in ("talk", "fails", "nests")]
        talk, fails, nests = [log.wait_for_end(task.id) for task in tasks]
    assert in_task(talk) == [
        "started", "running", "uploading", "log", "log", "result", "completed",
    ]  # fmt: skip
    assert in_task(fails) == ["started", "log", "error"]
    assert in_task(nests) == ["started", "result", "completed"]


@pytest.mark.parametrize("pool", ["threads", "gevent"])
def test_tasks_that_run_at_once_are_told_apart(life, redis_server, log, pool):
    with own_worker(redis_server, f"many-{pool}", pool=pool, concurrency=8):
        tasks = [
            life.steps.apply_async((10, 0.02, f"task {n}"), queue=f"many-{pool}") for n in range(8)
        ]
        for n, task in enumerate(tasks):
            events = log.wait_for_end(task.id)
            progress = [e.data for e in events if isinstance(e, Progress)]
            assert all(one.message.startswith(f"task {n} ") for one in progress)
            assert progress[-1].progress == 1.0


def test_a_warm_stop_loses_nothing(life, redis_server, log):
    with own_worker(redis_server, "warm") as worker:
        task = life.logs.apply_async((2_000,), queue="warm")
        log.wait_for_words(task.id, "started")
        worker.stop()
        lines = [e.data.message for e in log.events(task.id) if isinstance(e, Log)]
        assert lines == [f"line {n}" for n in range(2_000)]
        assert end_of(log.events(task.id)).status == "completed"


def test_a_recycled_child_loses_nothing(life, redis_server, log):
    with own_worker(redis_server, "recycled", options=("--max-tasks-per-child", "1")):
        tasks = [life.logs.apply_async((50,), queue="recycled") for _ in range(4)]
        for task in tasks:
            events = log.wait_for_end(task.id)
            assert in_task(events) == ["started", *["log"] * 50, "result", "completed"]


def test_all_tasks_of_an_app(life, redis_server, log):
    with own_worker(redis_server, "all", environment={"WSPROGRESS_TASKS": "all"}):
        task = life.plain.apply_async(queue="all")
        assert in_task(log.wait_for_end(task.id)) == ["started", "result", "completed"]


def test_switched_off(life, redis_server, log):
    with own_worker(redis_server, "off", environment={"WSPROGRESS_ENABLED": "no"}):
        task = life.talk.apply_async(queue="off")
        assert task.get(timeout=30) == {"said": "everything"}
    assert in_task(log.events(task.id)) == []


def test_the_broker_goes_in_the_middle_of_a_task(life, redis_server, own_redis):
    """Events have a broker of their own here. The task runs on; what it said arrives later."""
    log = LogReader(own_redis.url)
    settings = {"WSPROGRESS_URL": own_redis.url}
    with own_worker(redis_server, "broken", environment=settings) as worker:
        task = life.steps.apply_async((20, 0.1), queue="broken")
        log.wait_for_words(task.id, "started")
        own_redis.kill()
        assert task.get(timeout=30) == 20
        eventually(lambda: "Task events cannot reach" in worker.log)
        own_redis.start()
        events = log.wait_for_end(task.id)
        eventually(lambda: "again" in worker.log)
    assert in_task(events) == ["started", "result", "completed"]
    last = [e.data for e in events if isinstance(e, Progress)][-1]
    assert (last.current, last.total) == (20, 20)
    assert worker_lines(worker, "Task events cannot reach") <= 3


def test_a_worker_stops_though_the_broker_is_away(life, redis_server, own_redis):
    settings = {"WSPROGRESS_URL": own_redis.url}
    with own_worker(redis_server, "away", environment=settings) as worker:
        own_redis.kill()
        task = life.logs.apply_async((5,), queue="away")
        assert task.get(timeout=30) is None
        eventually(lambda: "Task events cannot reach" in worker.log)
        assert worker.signal_main(signal.SIGTERM) == 0


def worker_lines(worker, words):
    return sum(words in line for line in worker.log.splitlines())


def own_worker(server, queue, *, options=(), **how):
    """A worker for one test, on a queue that no other one takes tasks from."""
    return Worker(
        "life",
        broker=server.url,
        backend=server.url,
        options=("-Q", queue, *options),
        **how,
    )
