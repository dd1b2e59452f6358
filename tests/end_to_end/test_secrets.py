"""No argument of a task reaches its watchers or our lines in the log, however it ends."""

from __future__ import annotations

import importlib
import json
import re

import pytest
import redis
from celery import chain, chord
from log_reader import LogReader, end_of
from sidecars import SidecarProcess
from watching import to_the_end, watching
from workers import Worker

from celery_wsprogress import StreamingTask
from celery_wsprogress.brokers import EXCHANGE

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


@pytest.fixture
def secretive(redis_url, monkeypatch):
    monkeypatch.setenv("BROKER_URL", redis_url)
    monkeypatch.setenv("RESULT_BACKEND", redis_url)
    return importlib.import_module("secretive")


def test_no_argument_is_told(redis_url, secretive):
    debug = ("--loglevel", "DEBUG")
    asking = ("--exchange", "empty", "--answer-unknown", "--result-backend", redis_url)
    with (
        Worker(
            "secretive", broker=redis_url, backend=redis_url, concurrency=3, options=debug
        ) as worker,
        SidecarProcess(redis_url) as sidecar,
        # It knows nothing but what the result backend says.
        SidecarProcess(redis_url, *asking) as other,
    ):
        tasks = {name: send(secretive, name) for name in ENDS}
        tasks["revoked"].revoke()
        log = LogReader(redis_url)
        ends = {name: end_of(log.wait_for_end(task.id)) for name, task in tasks.items()}
        frames = {name: frames_of(sidecar, task) for name, task in tasks.items()}
        answers = {
            name: frames_of(other, task)
            for name, task in tasks.items()
            if name not in STORED_NOWHERE
        }
        # Its folder goes with it.
        written = worker.log
    assert {name: getattr(end, "error_type", None) for name, end in ends.items()} == ENDS
    assert {name: ends[name].error for name in ERRORS} == ERRORS
    assert {name: answers[name][-1]["data"]["error"] for name in ERRORS} == ERRORS
    assert quoting(frames) == []
    assert quoting(answers) == []
    with redis.Redis.from_url(redis_url) as client:
        entries = [entry for _, entry in client.xrange(EXCHANGE)]
    assert CANARY.encode() not in b"".join(value for one in entries for value in one.values())
    ours = re.findall(r"^<celery_wsprogress.*?(?=^<|\Z)", written, re.DOTALL | re.MULTILINE)
    assert any("in a thread" in record for record in ours)
    assert [record for record in ours if CANARY in record] == []
    assert CANARY not in sidecar.output + other.output


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


def frames_of(sidecar, task):
    with watching(sidecar, task.id) as frames:
        return to_the_end(frames)


def quoting(frames):
    return [name for name, found in frames.items() if CANARY in json.dumps(found)]
