"""Streams of tasks on real workers, by pool."""

from __future__ import annotations

import os
from collections import defaultdict

import pytest
from celery import Celery
from support.conditions import eventually
from support.workers import Worker

from celery_wsprogress.protocol.events import Chunk, Completed, Error, Log, Progress, Status


@pytest.fixture(scope="module", params=["prefork", "threads", "gevent"])
def app(request, redis_server):
    """An app that sends tasks to a worker of a pool."""
    url, queue = redis_server.url, f"orator-{request.param}"
    app = Celery("caller", broker=url, backend=url, set_as_current=False)
    app.conf.task_default_queue = queue
    how = {"pool": request.param, "concurrency": 4, "options": ("-Q", queue)}
    with Worker("orator", broker=url, backend=url, **how):
        yield app


def streams_of(events):
    """The contents of the streams of each run, by name, where all are in order and closed."""
    found = defaultdict(list)
    for one in events:
        if isinstance(one, Chunk):
            found[one.run, one.data.stream].append(one.data)
    for chunks in found.values():
        assert [one.index for one in chunks] == list(range(len(chunks)))
        assert [one.closed is True for one in chunks] == [False] * (len(chunks) - 1) + [True]
    by_name = [(name, [one.chunk for one in chunks[:-1]]) for (_, name), chunks in found.items()]
    return [(name, "".join(said) if isinstance(said[0], str) else said) for name, said in by_name]


def test_a_task_its_helpers_and_operations_stream(app, log):
    words = [f"word{number}" for number in range(300)]
    task = app.send_task("orator.answer", (words,))
    assert streams_of(log.wait_for_end(task.id)) == [
        ("answer", "".join(f"{one} " for one in words)),
        ("rows", [{"count": 300}]),
    ]
    assert streams_of(log.wait_for_end(f"inner-{task.id}")) == [("answer", "inside")]


def test_a_stream_is_closed_when_its_task_fails(app, log):
    task = app.send_task("orator.fails")
    events = log.wait_for_end(task.id)
    assert streams_of(events) == [("answer", "so far")]
    assert type(events[-1]).__name__ == "Error"


def test_each_attempt_has_streams_of_its_own(app, log):
    task = app.send_task("orator.again")
    said = streams_of(log.wait_for_end(task.id))
    assert said == [("answer", "attempt 0"), ("answer", "attempt 1")]


FIRST = ["line", "chunk", "closed"]


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("ignored", [*FIRST, "completed"]),
        ("rejected", [*FIRST, "error"]),
        ("replaced", [*FIRST, "replaced", *FIRST, "completed"]),
        ("eager", [*FIRST, "completed"]),
    ],
)
def test_streams_and_lines_come_before_the_end_whatever_that_is(app, log, how, told):
    task = app.send_task("orator.ends", (how,))
    events = log.wait_for_end(task.id)
    assert in_words(events) == told
    assert streams_of(events)[0] == ("answer", "so far")
    if how == "replaced":
        assert streams_of(events)[1] == ("answer", "the other")
    if how == "eager":
        assert in_words(log.wait_for_end(f"inner-{task.id}")) == [*FIRST, "completed"]


# Threads have no soft limit, and that of gevent does not wake a sleep.
@pytest.mark.parametrize("app", ["prefork"], indirect=True)
def test_streams_and_lines_come_before_the_end_by_a_soft_limit(app, log):
    events = log.wait_for_end(app.send_task("orator.ends", ("limited",)).id)
    assert in_words(events) == [*FIRST, "error"]
    assert streams_of(events) == [("answer", "so far")]


def in_words(events):
    """What is told in which order; a piece may be sent after a line that it was written before."""
    words = []
    for one in events:
        if isinstance(one, Chunk):
            words.append("closed" if one.data.closed is True else "chunk")
        elif isinstance(one, Log):
            words.append("line")
        elif isinstance(one, Completed):
            words.append("completed")
        elif isinstance(one, Error):
            words.append("error")
        elif isinstance(one, Status) and one.data.status == "replaced":
            words.append("replaced")
    for at in range(len(words) - 1):
        if words[at : at + 2] == ["chunk", "line"]:
            words[at : at + 2] = ["line", "chunk"]
    return words


def test_tasks_that_run_at_once_do_not_mix(app, log):
    tasks = {name: app.send_task("orator.one_of_many", (name, 500)) for name in "abcd"}
    for name, task in tasks.items():
        whole = "".join(f"{name}{number} " for number in range(500))
        assert streams_of(log.wait_for_end(task.id)) == [(name, whole)]


GREENLETS = int(os.environ.get("GREENLETS", "250"))  # `make soak` takes 1,000
COUNT = 5


def test_many_greenlets_with_loops_lines_and_streams_do_not_mix(redis_server, log):
    """All are in the middle of it at once."""
    url, queue = redis_server.url, "orator-many"
    app = Celery("caller", broker=url, set_as_current=False)
    how = {"pool": "gevent", "concurrency": GREENLETS, "options": ("-Q", queue)}
    with Worker("orator", broker=url, backend=url, **how), app.producer_pool.acquire() as producer:
        name, to = "orator.says_everything", {"queue": queue, "producer": producer}
        tasks = {
            app.send_task(name, (f"t{number}", GREENLETS, COUNT), **to).id: f"t{number}"
            for number in range(GREENLETS)
        }
        events = eventually(lambda: all_of(log, tasks), 300, interval=0.5)
    for task, name in tasks.items():
        said = events[task]
        lines = [one.data.message for one in said if isinstance(one, Log)]
        progress = [one.data for one in said if isinstance(one, Progress)]
        whole = "".join(f"{name} writes {n}. " for n in range(COUNT))
        assert lines == [f"{name} logs {n}" for n in range(COUNT)]
        assert streams_of(said) == [("answer", whole)]
        assert {one.message for one in progress} == {f"track {name}"}
        assert (progress[-1].current, progress[-1].total) == (COUNT, COUNT)


def all_of(log, tasks):
    """The events of each of these tasks, once all are completed."""
    found = defaultdict(list)
    for batch in log.batches():
        for one in batch.events:
            found[one.operation_id].append(one)
    ended = sum(isinstance(found[task][-1], Completed) for task in tasks if task in found)
    return found if ended == len(tasks) else None
