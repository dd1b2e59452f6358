"""What task authors decide, with a real worker: no event has an argument that is not shown."""

from __future__ import annotations

import importlib
import json

import pytest
import redis
from subscribed_client import to_the_end, watching
from support.event_log import LogReader
from support.sidecars import SidecarProcess
from support.workers import Worker

from celery_wsprogress.brokers import EXCHANGE

CANARY = "tweet-tweet"
QUICK = {"WSPROGRESS_SIGN_INTERVAL": "0.2"}
TASKS = (
    "by_default", "by_name", "by_function", "by_broken_function", "fails_in_full", "fails",
    "dies_afterwards",
)  # fmt: skip


@pytest.fixture(scope="module")
def told(redis_server):
    """All frames of each task, the entries of the log, and what the worker and sidecar printed."""
    redis_server.clear()
    url = redis_server.url
    with (
        pytest.MonkeyPatch.context() as environment,
        Worker("discreet", broker=url, backend=url, environment=QUICK) as worker,
        # One task ends without a word, and the sidecar asks the result backend about it.
        SidecarProcess(url, "--lost-after", "3", "--result-backend", url) as sidecar,
    ):
        environment.setenv("BROKER_URL", url)
        environment.setenv("RESULT_BACKEND", url)
        project = importlib.import_module("discreet")
        header = {"wsprogress": {"metadata": {"password": CANARY, "customer": 7}}}
        log, ids = LogReader(url), {}
        for name in TASKS:
            headers = header if name == "by_name" else None
            task = getattr(project, name)
            ids[name] = task.apply_async([4711], {"secret": CANARY}, headers=headers).id
            # One at a time: the process that dies takes with it what it has not written yet.
            log.wait_for_end(ids[name])
        frames = {}
        for name, one in ids.items():
            with watching(sidecar, one) as found:
                frames[name] = to_the_end(found)
        client = redis.Redis.from_url(url)
        entries = b"".join(b"".join(fields.values()) for _, fields in client.xrange(EXCHANGE))
        yield frames, entries, worker.log + sidecar.output


def metadata(frames):
    """What the statuses say of the operation, the last word last."""
    found = {}
    for frame in frames:
        found |= frame["data"].get("metadata", {})
    return found


def results(frames):
    return [frame["data"]["result"] for frame in frames if frame["event_type"] == "result"]


def test_no_event_has_the_secret(told):
    frames, entries, _ = told
    assert CANARY.encode() not in entries
    assert CANARY not in json.dumps(frames)


def test_the_log_of_the_worker_has_it_not_from_us(told):
    lines = [line for line in told[2].splitlines() if "celery_wsprogress" in line]
    assert not [line for line in lines if CANARY in line]
    assert "redact of the task discreet.by_broken_function raises ValueError" in told[2]


def test_arguments_are_shown_where_the_author_names_them(told):
    frames = told[0]
    assert metadata(frames["by_default"]) == {}
    shown = metadata(frames["by_name"])
    assert shown == {"order": 4711, "customer": 7, "password": "[redacted]", "color": "red"}
    assert metadata(frames["by_function"]) == {"order": 4711, "color": "red"}
    assert metadata(frames["by_broken_function"]) == {}
    assert "4711" not in json.dumps([frames["fails"], frames["dies_afterwards"]])


def test_results_are_redacted(told):
    frames = told[0]
    assert results(frames["by_name"]) == [{"order": 4711, "password": "[redacted]"}]
    assert results(frames["by_function"]) == [{"order": 4711}]
    assert results(frames["by_broken_function"]) == ["[redacted]"]
    assert frames["by_broken_function"][-1]["event_type"] == "completed"


def test_a_traceback_is_shown_where_it_is_asked_for(told):
    frames = told[0]
    assert "Traceback" not in json.dumps({**frames, "fails_in_full": []})
    [line] = [one["data"] for one in frames["fails_in_full"] if one["event_type"] == "log"]
    assert line["level"] == "error"
    assert "in fails_in_full" in line["details"]["traceback"]
    assert 'raise ValueError("it broke")' in line["details"]["traceback"]
    assert frames["fails_in_full"][-1]["data"]["error"] == "it broke"
