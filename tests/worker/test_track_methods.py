"""Loops and phases of a task on a real worker."""

from __future__ import annotations

from msgspec import UNSET
from support.workers import Worker

from celery_wsprogress.protocol.events import Progress, Status


def progress_of(events):
    return [event.data for event in events if isinstance(event, Progress)]


def test_a_task_in_phases(life, worker, log):
    task = life.works_in_phases.delay(50)
    events = log.wait_for_end(task.id)
    said = progress_of(events)
    assert [one.progress for one in said] == sorted(one.progress for one in said)
    [halfway] = [e.data for e in events if isinstance(e, Status) and e.data.status == "halfway"]
    assert [one["state"] for one in halfway.details["phases"]] == ["completed", "running"]
    assert [one["weight"] for one in halfway.details["phases"]] == [0.25, 0.75]
    # The loops of two threads add up, and are said before the status.
    counted = [(one.total, one.unit, one.progress) for one in said if one.current == 100]
    assert set(counted) == {(100, "rows", 1.0)}
    assert said[-1].progress == 1.0
    snapshot = log.snapshot(task.id)
    assert [one["state"] for one in snapshot["details"]["phases"]] == ["completed"] * 2


def test_a_task_that_fails_in_a_phase(life, worker, log):
    task = life.fails_in_a_phase.delay()
    last = progress_of(log.wait_for_end(task.id))[-1]
    assert (last.progress, last.current, last.total) == (0.25, 2, 4)
    assert last.details["phases"] == [
        {"name": "Read", "weight": 0.5, "state": "error", "fraction": 0.5},
        {"name": "Write", "weight": 0.5, "state": "waiting", "fraction": 0.0},
    ]


def test_an_asynchronous_loop(life, worker, log):
    task = life.walks.delay(30)
    last = progress_of(log.wait_for_end(task.id))[-1]
    assert (last.current, last.total, last.progress) == (30, 30, 1.0)


def test_phases_of_each_item_of_a_map(life, worker, log):
    task = life.item_in_phases.map(["a", "b"]).delay()
    said = progress_of(log.wait_for_end(task.id))
    assert [one.progress for one in said] == sorted(one.progress for one in said)
    assert {0.25, 0.75} <= {one.progress for one in said}
    assert (said[-1].current, said[-1].total, said[-1].progress) == (2, 2, 1.0)


def test_greenlets_are_told_apart(life, redis_server, log):
    with Worker(
        "life",
        broker=redis_server.url,
        backend=redis_server.url,
        options=("-Q", "tracked"),
        pool="gevent",
        concurrency=8,
    ):
        tasks = [
            life.works_in_phases.apply_async((10 * number,), queue="tracked")
            for number in range(1, 9)
        ]
        for number, task in enumerate(tasks, 1):
            said = progress_of(log.wait_for_end(task.id))
            # One loop of so many rows, then two at once.
            totals = {one.total for one in said} - {UNSET}
            assert {20 * number} <= totals <= {10 * number, 20 * number}
            assert [one.progress for one in said] == sorted(one.progress for one in said)
            assert (said[-1].progress, said[-1].current) == (1.0, 20 * number)
