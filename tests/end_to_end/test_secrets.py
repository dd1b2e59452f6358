"""No argument of a task reaches its watchers or our lines in the log, however it ends."""

from __future__ import annotations

import importlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
import redis
from celery import chain, chord
from subscribed_client import to_the_end, watching
from support.event_log import LogReader, end_of
from support.sidecars import SidecarProcess
from support.workers import Worker

from celery_wsprogress import StreamingTask
from celery_wsprogress.brokers import EXCHANGE
from celery_wsprogress.protocol.jsonable import WITHHELD

CANARY = "tweet-tweet"

ENDS = {
    "exhausts": "MaxRetriesExceededError",
    "quotes": "MaxRetriesExceededError",
    "waits": "MaxRetriesExceededError",
    "rejects": "Reject",
    "rejects_in_words": "Reject",
    "ignores": None,
    "groups": "ExceptionGroup",
    "unpicklable": "Unpicklable",
    "checked": "ValidationError",
    "narrow": "TypeError",
    "unstorable": "EncodeError",
    "hard": "TimeLimitExceeded",
    "soft": "SoftTimeLimitExceeded",
    "dies": "WorkerLostError",
    "loses_its_thread": None,
    "newer": "NotRegistered",
    "body of a chord": "ChordError",
    "rest of a chain": "MaxRetriesExceededError",
    "revoked": "TaskRevokedError",
}
NO_TRY_LEFT = "Can't retry secretive.exhausts any more: it was tried as often as max_retries allows"
ERRORS = {
    "exhausts": NO_TRY_LEFT,
    "rest of a chain": NO_TRY_LEFT,
    "newer": "the worker does not know the task secretive.newer",
    "hard": "the task ran longer than its time limit of 1 seconds",
    "soft": "the task ran longer than its soft time limit",
    "dies": "Worker exited prematurely: signal 9 (SIGKILL)",
}
STORED_NOWHERE = {"ignores"}


class Told(NamedTuple):
    """What came of the tasks of the project, by the name of each."""

    ends: dict[str, Any]
    """As they stand in the log."""
    frames: dict[str, list[Any]]
    """As a sidecar tells them that has read the log."""
    answers: dict[str, list[Any]]
    """As one tells them that knows nothing but what the result backend says."""
    entries: list[bytes]
    written: str
    """The worker's log."""
    output: str
    """Of both sidecars."""


@pytest.fixture(scope="module")
def told(redis_server):
    redis_server.clear()
    url = redis_server.url
    asking = ("--exchange", "empty", "--answer-unknown", "--result-backend", url)
    options = {"concurrency": 3, "options": ("--loglevel", "DEBUG")}
    with (
        pytest.MonkeyPatch.context() as environment,
        Worker("careful", broker=url, backend=url, **options) as worker,
        SidecarProcess(url) as sidecar,
        SidecarProcess(url, *asking) as other,
        # Each answer takes some seconds.
        ThreadPoolExecutor(16) as together,
    ):
        environment.setenv("BROKER_URL", url)
        environment.setenv("RESULT_BACKEND", url)
        project = importlib.import_module("careful")
        tasks = {name: send(project, name) for name in ENDS}
        tasks |= {name: send_careful(project, name) for name in KEPT}
        tasks["revoked"].revoke()
        log = LogReader(url)
        ends = {name: end_of(log.wait_for_end(task.id)) for name, task in tasks.items()}
        ids = {name: task.id for name, task in tasks.items()}
        ids["the part"] = f"part of {ids['does_a_part']}"
        frames = {name: frames_of(sidecar, one) for name, one in ids.items()}
        asked = [name for name in tasks if name not in STORED_NOWHERE]
        found = together.map(lambda name: frames_of(other, ids[name]), asked)
        answers = dict(zip(asked, found, strict=True))
        # Its folder goes with it.
        written = worker.log
    return Told(ends, frames, answers, in_the_log(url), written, sidecar.output + other.output)


def test_no_argument_is_told(told):
    assert {name: getattr(told.ends[name], "error_type", None) for name in ENDS} == ENDS
    assert {name: told.ends[name].error for name in ERRORS} == ERRORS
    assert {name: told.answers[name][-1]["data"]["error"] for name in ERRORS} == ERRORS
    assert quoting(told.frames) == []
    assert quoting(told.answers) == []
    assert CANARY.encode() not in b"".join(told.entries)
    ours = re.findall(r"^<celery_wsprogress.*?(?=^<|\Z)", told.written, re.DOTALL | re.MULTILINE)
    assert any("in a thread" in record for record in ours)
    assert [record for record in ours if CANARY in record] == []
    assert CANARY not in told.output


#: Of tasks whose errors keep their texts: what is told of them.
KEPT = {
    "by_sql": "IntegrityError",
    "by_http": "ConnectionError",
    "by_validation": "RuntimeError",
    "by_key": "KeyError",
    "by_group": "ExceptionGroup",
    "by_celery_s_classes": "MaxRetriesExceededError",
    "keeps_its_result": "IntegrityError",
    "tries_again": "ConnectionError",
    "waits_in_words": "KeyError",
    "refuses": "Reject",
    "stores_it": "KeyError",
    "does_a_part": "KeyError",
    "returns_a_set": "EncodeError",
    "hands_over": "KeyError",
    "replaced_by_chain": "KeyError",
    "careful chord": "ChordError",
    "careful chain": "KeyError",
    "careful map": "KeyError",
}
#: What is told beside the type, where that is not the one sentence which says nothing.
MEANT = {
    "by_celery_s_classes": "Can't retry it any more: it was tried as often as max_retries allows",
    "refuses": "rejected: KeyError",
}


def test_of_errors_that_keep_their_texts_the_type_is_told(told):
    ends = {name: told.ends[name] for name in KEPT}
    assert {name: end.error_type for name, end in ends.items()} == KEPT
    expected = {name: MEANT.get(name, WITHHELD) for name in KEPT if name != "careful chord"}
    assert {name: ends[name].error for name in expected} == expected
    assert re.fullmatch(r"Dependency [\w-]+ raised KeyError", ends["careful chord"].error)
    kept = {name: KEPT[name] for name in KEPT if name not in STORED_NOWHERE}
    assert {name: told.answers[name][-1]["data"]["error_type"] for name in kept} == kept
    assert told.frames["the part"][-1]["data"]["error_type"] == "KeyError"
    assert any(b'"retrying","message":"ConnectionError"' in entry for entry in told.entries)


def send_careful(project, name):
    if name in project.WAYS:
        return project.breaks.delay(CANARY, how=name)
    if name in project.CANVASES:
        return project.CANVASES[name](CANARY).delay()
    return getattr(project, name).delay(CANARY)


def in_the_log(url):
    with redis.Redis.from_url(url) as client:
        return [value for _, entry in client.xrange(EXCHANGE) for value in entry.values()]


def unknown_here(*_args, **_named):
    """What the caller has of a task: a name."""


def send(project, name):
    given, named = ({"number": CANARY} if name == "checked" else CANARY), {"named": CANARY}
    fails = project.exhausts.s(given, **named)
    if name == "body of a chord":
        return chord([fails])(project.collects.s(given, **named))
    if name == "rest of a chain":
        return chain(fails, project.collects.s(given, **named)).delay()
    if name == "revoked":
        return project.collects.apply_async((given,), named, countdown=600)
    if name == "newer":
        make = project.app.task(base=StreamingTask, name="secretive.newer", shared=False)
        return make(unknown_here).delay(given, **named)
    return getattr(project, name).apply_async((given,), named)


def frames_of(sidecar, operation_id):
    with watching(sidecar, operation_id) as frames:
        return to_the_end(frames)


def quoting(frames):
    return [name for name, found in frames.items() if CANARY in json.dumps(found)]
