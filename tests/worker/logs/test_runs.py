"""Records and printed lines of tasks on real workers, by pool."""

from __future__ import annotations

import json
import re
import uuid

import pytest
from celery import Celery
from support.conditions import eventually
from support.event_log import end_of, in_task
from support.workers import Worker

from celery_wsprogress.protocol.events import Log

CANARY = "tweet-tweet"
NAMES = ("one", "two", "three", "four")


@pytest.fixture(scope="module", params=["prefork", "threads", "gevent"])
def pool(request, redis_server):
    """A pool, and an app that sends tasks to a worker of it."""
    url, queue = redis_server.url, f"chatty-{request.param}"
    app = Celery("caller", broker=url, backend=url, set_as_current=False)
    app.conf.task_default_queue = queue
    how = {"pool": request.param, "concurrency": 4, "options": ("-Q", queue)}
    with Worker("chatty", broker=url, backend=url, **how) as worker:
        yield request.param, app, worker


def told(pool, log, name, *arguments):
    """The log lines of a task, once it has ended."""
    task = pool[1].send_task(f"chatty.{name}", arguments)
    return [one.data for one in log.wait_for_end(task.id) if isinstance(one, Log)]


def texts(lines):
    return [one.message for one in lines]


only_prefork = pytest.mark.parametrize("pool", ["prefork"], indirect=True)


def test_records_come_from_everywhere(pool, log):
    inner = str(uuid.uuid4())
    lines = told(pool, log, "everywhere", inner)
    # Where several runs may go on in a process, nobody knows whose thread this is.
    plain = [] if pool[0] == "threads" else ["without the context"]
    assert texts(lines) == [
        "the root's", "celery's own", "no parent's", "with the context", *plain, "a coroutine's",
        "to_thread", "in an operation", "told [hidden]",
    ]  # fmt: skip
    assert lines[0].details == {"order": 7, "level": "a name of ours", "message_id": 1}
    assert [(one.logger, one.level) for one in lines[:3]] == [
        ("shop", "info"), ("chatty", "warning"), ("aloof", "error"),
    ]  # fmt: skip
    assert texts(e.data for e in log.events(inner) if isinstance(e, Log)) == ["the inner one"]


def test_tasks_that_run_at_once_do_not_mix(pool, log):
    tasks = {name: pool[1].send_task("chatty.one_of_many", (name, 30)) for name in NAMES}
    for name, task in tasks.items():
        lines = texts(e.data for e in log.wait_for_end(task.id) if isinstance(e, Log))
        assert lines == [f"{name} {what} {n}" for n in range(30) for what in ("logs", "prints")]


@pytest.mark.parametrize("pool", ["gevent"], indirect=True)
def test_greenlets_of_a_task(pool, log):
    assert sorted(texts(told(pool, log, "spawns"))) == [f"greenlet {n}" for n in range(3)]


@only_prefork
def test_printed_lines(pool, log):
    lines = told(pool, log, "prints")
    assert texts(lines) == ["one two", "100 %", "token [hidden]", "from a thread", "unended"]
    assert {(one.logger, one.level) for one in lines} == {("stdout", "info")}
    # They go on to where Celery's worker sends them.
    eventually(lambda: f"token {CANARY}" in pool[2].log)


@only_prefork
def test_a_flood_is_counted(pool, log):
    *_, last = lines = texts(told(pool, log, "floods", 3_000))
    counts = [re.fullmatch(r"([\d,]+) lines? (?:was|were) left out: .*", one) for one in lines]
    left_out = sum(int(found[1].replace(",", "")) for found in counts if found)
    sent = [int(one.removeprefix("line ")) for one in lines if one.startswith("line ")]
    assert left_out > 0
    assert len(sent) + left_out == 3_000
    assert sent == sorted(sent)
    assert sent[:500] == list(range(500))
    assert "left out" in last or last == "line 2999"


@only_prefork
def test_a_record_that_goes_wrong_fails_nothing(pool, log):
    lines = texts(told(pool, log, "stumbles"))
    # The filter of the project formats them, and what it raises leaves a record out.
    assert lines == ["still here"]
    eventually(lambda: "a filter or the formatter of celery_wsprogress" in pool[2].log)


@only_prefork
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("explains_nothing", {"error_type"}),
        ("explains", {"error_type", "error"}),
        ("explains_all", {"error_type", "error", "traceback"}),
    ],
)
def test_of_an_exception_as_much_is_shown_as_of_errors(pool, log, name, shown):
    first = told(pool, log, name)[0]
    assert (first.message, first.level) == ("it broke", "error")
    assert first.details.keys() == shown
    assert first.details["error_type"] == "KeyError"
    assert (CANARY in json.dumps(first.details)) is ("error" in shown)


@only_prefork
def test_nothing_comes_after_the_end(pool, log):
    task = pool[1].send_task("chatty.explains")
    events = log.wait_for_end(task.id)
    assert in_task(events) == ["started", "log", "log", "error"]
    assert end_of(events).error == "the end"
    assert "what is reported after the end" not in pool[2].log


@only_prefork
def test_each_attempt_ends_with_its_last_line(pool, log):
    task = pool[1].send_task("chatty.tries_again")
    log.wait_for_end(task.id)
    # Two processes may run them, which wait for no other.
    log.wait_for_words(task.id, "retrying")
    lines = {}
    for run in log.runs(task.id):
        *_, end = words = in_task(run)
        assert words == ["started", "log", "log", end]
        lines[end] = texts(e.data for e in run if isinstance(e, Log))
    assert lines == {"retrying": ["attempt 0", "unended"], "error": ["attempt 1", "unended"]}


@only_prefork
def test_an_extra_is_redacted_and_bounded(pool, log):
    logged_in, read = told(pool, log, "redacts")
    assert logged_in.details == {"password": "[redacted]", "user": "me"}
    assert read.details["truncated"] is True
