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


def started(name, kind="t"):
    return status("started", at=1.0, metadata={}, operation_id=name, operation_type=kind)


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


def test_in_a_terminal_it_is_a_table(served, write):
    with terminal("monitor", "--url", served.url) as screen:
        screen.wait_for("Listening. Nothing has happened yet")
        write(started("a"), progress(0.5, operation_id="a", message="half"))
        screen.wait_for("  a  running   50%  00:00:01  t     half")
        screen.wait_for("1 operation, 1 running")
        write(completed(operation_id="a", at=2.0, duration=1.0))
        screen.wait_for("  a  completed  100%  00:00:02  t")
        assert all(len(line) < 80 for line in screen.screen)
        screen.type(INTERRUPT)
        assert screen.wait() == 130
    assert "Traceback" not in screen.output


def test_keys(redis_url, write):
    write(started("a"), started("b", kind="mail.send"), completed(operation_id="b", duration=1.0))
    with (
        SidecarThread(BrokerAddress(redis_url), allow_cancel=True) as sidecar,
        terminal("monitor", "--url", sidecar.url) as screen,
    ):
        screen.wait_for("mail.send")
        screen.type("f")
        screen.wait_for("states: active")
        eventually(lambda: not shows(screen, "mail.send"))
        screen.type("fff/mail\n")
        screen.wait_for("text: mail")
        eventually(lambda: not shows(screen, "running"))
        screen.type("\x1b")
        screen.wait_for("a  running")
        screen.type("s")
        screen.wait_for("sort: newest")
        screen.type("c")
        screen.wait_for("Select an operation first")
        screen.type("jj")
        screen.wait_for("> ")
        screen.type("kk")
        eventually(lambda: any(line.startswith("> ") for line in screen.screen))
        screen.type("c")
        screen.wait_for("Press c again to cancel")
        screen.type("c")
        eventually(lambda: shows(screen, "were told to cancel") or shows(screen, "has ended"))
        screen.type("q")
        assert screen.wait() == 0


def shows(screen, text):
    return any(text in line for line in screen.screen[1:])


def test_filters_are_those_of_a_terminal(served):
    done = run("monitor", "--tag", "nightly", "--url", served.url)
    assert done.returncode == 2
    assert "in a pipe use `list`" in done.stderr


def test_a_token_that_does_not_grant_everything(redis_url):
    token = create_token(["op-1"], 60, key=KEY)
    with SidecarThread(BrokerAddress(redis_url), key=KEY) as sidecar:
        done = run("monitor", "--url", sidecar.url, WSPROGRESS_TOKEN=token)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: The token does not grant all that this may select")
