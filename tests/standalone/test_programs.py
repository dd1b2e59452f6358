"""Programs written against the public names alone, as people write them, run as they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.event_log import LogReader, end_of, result_of, spoken
from support.wire_document import connect
from websockets.exceptions import ConnectionClosed

from celery_wsprogress.protocol.events import Log, Progress

PROJECTS = Path(__file__).parents[1] / "projects"


def start(name, url=None):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WSPROGRESS")}
    return subprocess.Popen(
        [sys.executable, str(PROJECTS / f"{name}.py")],
        env={**kept, "PYTHONWARNINGS": "error", **({"WSPROGRESS_URL": url} if url else {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(name, url=None):
    with start(name, url) as program:
        printed, errors = program.communicate(timeout=60)
    assert program.returncode == 0, errors
    return printed.splitlines(), errors


@pytest.fixture
def log(redis_url):
    return LogReader(redis_url)


def lines(events):
    return [event.data.message for event in events if isinstance(event, Log)]


def test_by_manager(log, redis_url):
    (good, bad), errors = run("by_manager", redis_url)
    assert errors == ""
    events = log.events(good)
    assert spoken(events) == ["started", "thinking", "log", "result", "completed"]
    assert result_of(events).result == {"text": "HELLO"}
    assert [e.data.progress for e in events if isinstance(e, Progress)][-1] == 1.0
    events = log.events(bad)
    assert spoken(events) == ["started", "thinking", "log", "error"]
    assert (end_of(events).error, end_of(events).error_type) == ("empty prompt", "ValueError")
    assert log.events("nobody") == []


def test_by_mixin(log, redis_url):
    printed, errors = run("by_mixin", redis_url)
    assert errors == ""
    assert [n for n, line in enumerate(printed) if "too round" in line] == [0, 5, 10, 15]
    everything = [event for batch in log.batches() for event in batch.events]
    starts = {e.operation_id: e.data.metadata["number"] for e in everything if is_start(e)}
    assert sorted(starts.values()) == list(range(20))
    for name, number in starts.items():
        events = log.events(name)
        assert lines(events) == [f"{number}.{n}" for n in range(1, 11)]
        end = "error" if number % 5 == 0 else "completed"
        assert log.ends_watched(name) == [end]
        if end == "completed":
            assert result_of(events).result == {"number": number}
            assert name == printed[number]
        assert {e.data.details["number"] for e in events if isinstance(e, Progress)} == {number}


def is_start(event):
    return getattr(event.data, "status", "") == "started"


def test_by_tracker(log, redis_url):
    [name], errors = run("by_tracker", redis_url)
    assert errors == ""
    events = log.events(name)
    assert spoken(events) == ["started", "log", "log", "result", "completed"]
    assert lines(events) == ["Downloading", "Slow"]
    assert result_of(events).result == {"files": 3}
    last = [event.data for event in events if isinstance(event, Progress)][-1]
    assert (last.message, last.details) == ("Reading c", {"file": "c"})
    assert log.events("nobody-knows-this-id") == []


@pytest.mark.parametrize("name", ["by_manager", "by_mixin", "by_tracker"])
def test_without_a_broker(name):
    printed, errors = run(name)
    assert printed
    [line] = errors.splitlines()
    assert line.startswith("Nobody can see the operations of this process")
    assert "WSPROGRESS_URL" in line


@pytest.mark.parametrize("order", ["stop", "leave"])
def test_by_server(order):
    """Whether the server is stopped or left running: its clients are told to come back."""
    with start("by_server") as program:
        with connect(program.stdout.readline().strip(), compression=None) as client:
            client.recv()
            client.send(json.dumps({"command": "subscribe", "operation_id": "waiting"}))
            frames = [json.loads(client.recv()), json.loads(client.recv())]
            assert frames[1]["data"]["status"] == "started"
            program.stdin.write(f"{order}\n")
            program.stdin.flush()
            with pytest.raises(ConnectionClosed):
                frames.extend(client)
            assert client.protocol.close_code == 1012
        errors = program.communicate(timeout=60)[1]
    assert (program.returncode, errors) == (0, "")
