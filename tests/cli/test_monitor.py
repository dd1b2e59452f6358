from __future__ import annotations

import json
import signal

import pytest
from support.conditions import eventually
from support.programs import CELERY, OURS, Piped, run, terminal
from support.sample_events import completed, log, progress, status
from support.sidecars import SidecarThread
from support.terminals import INTERRUPT

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress

KEY = "a key that is long enough for HS256"


def started(name):
    return status("started", at=1.0, metadata={}, operation_id=name, operation_type="t")


@pytest.mark.parametrize("command", [OURS, CELERY], ids=["ours", "celery"])
def test_it_shows_everything_until_it_is_interrupted(served, write, command):
    write(started("old"), completed(operation_id="old", duration=1.0), started("running"))
    eventually(lambda: served.sidecar.hub.get("running"))
    with Piped("monitor", "--url", served.url, command=command) as monitor:
        monitor.wait_for("running  started    t")
        write(started("new"), log("words", operation_id="running"))
        monitor.wait_for("new  started    t")
        monitor.wait_for("running  info       words")
        assert monitor.end(signal.SIGINT) == 130
    assert "old" not in monitor.stdout
    assert monitor.stderr == ""


def test_json(served, write):
    write(started("a"))
    with Piped("monitor", "--json", "--url", served.url) as monitor:
        monitor.wait_for("\n")
        assert monitor.end(signal.SIGINT) == 130
    assert json.loads(monitor.stdout)["operation_id"] == "a"


def test_in_a_terminal(served, write):
    with terminal("monitor", "--url", served.url) as screen:
        eventually(lambda: served.sidecar.stats()["subscriptions"] == 1)
        write(started("a"), progress(0.5, operation_id="a"))
        screen.wait_for("a   50%")
        screen.type(INTERRUPT)
        assert screen.wait() == 130
    assert "Traceback" not in screen.output
    assert "\x1b" not in screen.output


def test_a_token_that_does_not_grant_everything(redis_url):
    token = create_token(["op-1"], 60, key=KEY)
    with SidecarThread(BrokerAddress(redis_url), key=KEY) as sidecar:
        done = run("monitor", "--url", sidecar.url, WSPROGRESS_TOKEN=token)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: The token does not grant all that this may select")
