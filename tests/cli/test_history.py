"""``history``: the events that the sidecar holds."""

from __future__ import annotations

import json

import pytest
from support.conditions import eventually
from support.programs import CELERY, OURS, run, terminal
from support.sample_events import completed, log, progress, status

LINES = [
    "00:00:01  started    t.build",
    "00:00:02   50%       rows",
    "00:00:03  info       half",
    "00:00:04  completed  in 3.0 s",
]


@pytest.fixture
def filled(served, write):
    write(
        status("started", at=1.0, metadata={}, operation_type="t.build"),
        progress(0.5, at=2.0, message="rows"),
        log("half", at=3.0),
        completed(at=4.0, duration=3.0),
    )
    eventually(lambda: (served.sidecar.hub.get("op-1") or {}).get("state") == "completed")
    return served


@pytest.mark.parametrize("command", [OURS, CELERY], ids=["ours", "celery"])
def test_the_oldest_come_first(filled, command):
    done = run("history", "op-1", "--url", filled.url, command=command)
    assert (done.returncode, done.stderr, done.stdout.splitlines()) == (0, "", LINES)


def test_in_a_terminal_nothing_is_rewritten(filled):
    with terminal("history", "op-1", "--url", filled.url, NO_COLOR="1") as screen:
        assert screen.wait() == 0
    assert [line for line in screen.screen if line] == LINES
    assert "\x1b" not in screen.output


def test_json(filled):
    done = run("history", "op-1", "--json", "--url", filled.url)
    kinds = [json.loads(line)["event_type"] for line in done.stdout.splitlines()]
    assert kinds == ["status", "progress", "log", "completed"]


def test_the_newest_of_them(filled):
    done = run("history", "op-1", "--limit", "2", "--url", filled.url)
    assert done.stdout.splitlines() == LINES[-2:]
    assert done.stderr == "There were more events before these\n"


def test_an_unknown_one(served):
    done = run("history", "nobody", "--url", served.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Nothing is known of nobody. Is this the id of a task")


def test_of_a_workflow(filled):
    done = run("history", "--workflow", "nobody", "--url", filled.url)
    assert "Nothing is known of workflow:nobody" in done.stderr
