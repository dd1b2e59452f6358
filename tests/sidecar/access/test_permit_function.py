from __future__ import annotations

import asyncio
import sys
import time
from threading import Event
from types import SimpleNamespace

import pytest
from support import asyncio_runner

from celery_wsprogress.access.grants import Right
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.sidecar.access.permit_function import DEFAULT_LIFETIME, PermitFunction

HEADERS, COOKIES = {"x-user": "anna"}, {"session": "s"}


def ask(monkeypatch, function, **options):
    monkeypatch.setitem(sys.modules, "decider", SimpleNamespace(function=function))
    one = PermitFunction("decider:function", **options)
    try:
        return asyncio_runner.run(one.grant(HEADERS, COOKIES))
    finally:
        one.stop()


def plain(headers, cookies):
    return {"ops": [f"tag:{headers['x-user']}", cookies["session"]], "can": ["watch"]}


async def coroutine(headers, cookies):
    await asyncio.sleep(0)
    return plain(headers, cookies)


@pytest.mark.parametrize("function", [plain, coroutine])
def test_the_claims_that_it_returns_are_granted(monkeypatch, function):
    grant = ask(monkeypatch, function)
    assert grant.patterns == {("tag", "anna"), ("id", "s")}
    assert grant.rights == {Right.WATCH}
    assert 0 < grant.expires_at - time.time() <= DEFAULT_LIFETIME


def broken(headers, cookies):
    raise ValueError(headers["x-user"])


@pytest.mark.parametrize(
    "function",
    [
        lambda *_: None,
        lambda *_: "op",
        lambda *_: {},
        lambda *_: {"ops": ["sub:"]},
        lambda *_: {"ops": ["op"], "exp": 1},
        broken,
    ],
)
def test_what_is_no_claim_is_refused_and_nothing_secret_is_logged(monkeypatch, caplog, function):
    assert ask(monkeypatch, function) is None
    assert "anna" not in caplog.text


async def endless(*_):
    await asyncio.sleep(3600)


def test_a_function_that_takes_too_long_is_refused(monkeypatch, caplog):
    assert ask(monkeypatch, endless, timeout=0.05) is None
    go_on = Event()
    try:
        assert ask(monkeypatch, lambda *_: go_on.wait(60), timeout=0.05) is None
    finally:
        go_on.set()
    assert caplog.text.count("took more than") == 2


@pytest.mark.parametrize("path", ["no_such_module:f", "os:no_such", "os:sep", "os.path:join.no"])
def test_a_function_that_is_not_there_is_named(path):
    with pytest.raises(ConfigurationError, match="wsprogress_permit is"):
        PermitFunction(path)
