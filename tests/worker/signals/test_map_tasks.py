"""``map``, ``starmap`` and ``chunks`` are followed where the task is that they call."""

from __future__ import annotations

import pytest
from msgspec import UNSET
from support.conditions import eventually
from support.event_log import end_of, in_task, result_of, spoken

from celery_wsprogress.protocol.events import Progress, Result, Status


def progress_of(events):
    return [event.data for event in events if isinstance(event, Progress)]


def test_a_map_of_a_followed_task_is_followed(life, worker, log):
    task = life.halves.map(["a", "b", "c"]).delay()
    events = log.wait_for_end(task.id)
    log.wait_for_words(task.id, "queued", "received")
    assert sorted(spoken(log.events(task.id))) == [
        "completed", "queued", "received", "result", "started",
    ]  # fmt: skip
    assert result_of(events).result == ["a", "b", "c"]
    last = progress_of(events)[-1]
    assert (last.current, last.total, last.unit, last.progress) == (3, 3, "items", 1.0)
    [started] = [e for e in events if isinstance(e, Status) and e.data.status == "started"]
    assert started.data.operation_type == "celery.map"


def test_progress_of_an_item_is_its_share(life, worker, log):
    """The interval lets little leave; a word of the task has what was said before it go first."""
    task = life.speaks_of_items.map(["a", "b"]).delay()
    said = [(p.current, p.progress, p.message) for p in progress_of(log.wait_for_end(task.id))]
    assert (0.5, 0.25, "half of a") in said
    assert (1.5, 0.75, "half of b") in said
    assert [p for _, p, _ in said] == sorted(p for _, p, _ in said)


def test_a_starmap(life, worker, log):
    task = life.add.starmap([(1, 2), (3, 4)]).delay()
    assert result_of(log.wait_for_end(task.id)).result == [3, 7]


def test_chunks_are_as_many_operations_as_there_are_chunks(life, worker, log):
    group = life.add.chunks([(n, n) for n in range(5)], 2).delay()
    results = [result_of(log.wait_for_end(one.id)).result for one in group.results]
    assert results == [[0, 2], [4, 6], [8]]


@pytest.mark.parametrize("items", [[], ["a"], ["a", "fails"]])
def test_a_result_that_must_not_leave_does_not_leave_with_others(life, worker, log, items):
    task = life.hides.map(items).delay()
    events = log.wait_for_end(task.id)
    assert not [event for event in events if isinstance(event, Result)]
    assert "secret a" not in repr(log.batches())
    if "fails" in items:
        assert (end_of(events).error_type, end_of(events).status) == ("ValueError", "error")
        assert progress_of(events)[-1].current == 1
    else:
        assert end_of(events).ignored is UNSET


def test_a_map_of_a_task_that_is_not_followed_says_nothing(life, worker, log):
    task = life.plain.map([1, 2]).delay()
    backend = life.app.backend
    eventually(lambda: backend.get(backend.get_key_for_task(task.id)))
    log.wait_for_end(life.add.delay(1, 1).id)
    assert log.events(task.id) == []


def test_a_caller_that_knows_nothing_need_not_say_it(life, worker, log):
    """The worker sees from the message which task is called."""
    signature = {"task": "life.halves", "args": (), "kwargs": {}, "options": {}}
    other = type(life.app)("other", broker=life.app.conf.broker_url)
    task = other.send_task("celery.map", kwargs={"task": signature, "it": ["x"]})
    assert in_task(log.wait_for_end(task.id)) == ["started", "result", "completed"]
