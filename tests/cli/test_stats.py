from __future__ import annotations

import json

import pytest
from support.conditions import eventually
from support.programs import CELERY, OURS, run, terminal
from support.sample_events import completed, status


@pytest.fixture
def filled(served, write):
    write(status("started", metadata={}), completed(duration=1.0))
    eventually(lambda: served.sidecar.hub.get("op-1"))
    return served


@pytest.mark.parametrize("command", [OURS, CELERY], ids=["ours", "celery"])
def test_the_figures_are_aligned(filled, command):
    done = run("stats", "--url", filled.url, command=command)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len({len(line) for line in lines}) == 1
    figures = dict(line.split() for line in lines)
    assert figures["connected_clients"] == figures["total_operations"] == "1"
    assert figures["active_operations"] == "0"


def test_json_is_what_the_sidecar_said(filled):
    done = run("stats", "--json", "--url", filled.url)
    figures = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert figures["total_operations"] == 1
    assert all(type(value) is int for value in figures.values())


def test_in_a_terminal(filled):
    with terminal("stats", "--url", filled.url) as screen:
        assert screen.wait() == 0
    assert any(line.split() == ["total_operations", "1"] for line in screen.screen)
