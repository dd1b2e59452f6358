"""``list``: filters, its table, and what it says where there is nothing."""

from __future__ import annotations

import json

import pytest
from support.conditions import eventually
from support.programs import CELERY, OURS, run, terminal
from support.sample_events import completed, progress, status
from support.sidecars import SidecarThread

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress

KEY = "a key that is long enough for HS256"


def started(name, at=1.0, kind="shop.report", **more):
    return status("started", at=at, metadata={}, operation_id=name, operation_type=kind, **more)


@pytest.fixture
def filled(served, write):
    write(
        started("old", kind="mail.send"),
        completed(operation_id="old", at=2.0, duration=1.0),
        started("new", at=3.0, tags=["nightly"]),
        progress(0.5, operation_id="new", current=250, total=1000, unit="rows", message="reading"),
    )
    eventually(lambda: (served.sidecar.hub.get("new") or {}).get("progress"))
    return served


@pytest.mark.parametrize("command", [OURS, CELERY], ids=["ours", "celery"])
def test_the_newest_come_first(filled, command):
    done = run("list", "--url", filled.url, command=command)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "ID   STATE      DONE  AT        TYPE",
        "new  running     50%  00:00:03  shop.report  250 of 1,000 rows, reading",
        "old  completed  100%  00:00:02  mail.send",
    ]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--state", "completed"], ["old"]),
        (["--type", "shop.*"], ["new"]),
        (["--tag", "nightly"], ["new"]),
        (["--limit", "1"], ["new"]),
        (["--limit", "0"], ["new", "old"]),
    ],
)
def test_filters(filled, options, found):
    done = run("list", "--json", *options, "--url", filled.url)
    assert [json.loads(line)["operation_id"] for line in done.stdout.splitlines()] == found


def test_it_says_that_there_are_more(filled):
    done = run("list", "--limit", "1", "--url", filled.url)
    assert (done.returncode, done.stderr) == (0, "There are more than 1; --limit 0 lists all\n")


def test_nothing(filled):
    done = run("list", "--type", "other", "--url", filled.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "No operation matches\n")


def test_in_a_terminal_a_line_is_a_line(served, write):
    write(
        started("a", kind="t" * 30, message="m"), progress(0.5, operation_id="a", message="x" * 99)
    )
    eventually(lambda: (served.sidecar.hub.get("a") or {}).get("progress"))
    with terminal("list", "--url", served.url) as screen:
        assert screen.wait() == 0
    assert [len(line) for line in screen.screen if "running" in line] == [79]


def test_a_token_that_does_not_grant_everything(redis_url):
    token = create_token(["op-1"], 60, key=KEY)
    with SidecarThread(BrokerAddress(redis_url), key=KEY) as sidecar:
        done = run("list", "--url", sidecar.url, WSPROGRESS_TOKEN=token)
    assert done.returncode == 2
    assert "--token-file" in done.stderr
