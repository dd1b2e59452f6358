"""The lifespan of a server, whatever the user's application makes of it."""

from __future__ import annotations

import pytest
from support import asyncio_runner

from celery_wsprogress.asgi.lifespan import Lifespan

ANSWERS = ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def knows_it(scope, receive, send):
    for answer in ANSWERS:
        await receive()
        await send({"type": answer})


async def raises_at_once(scope, receive, send):
    raise ValueError("Django can only handle ASGI/HTTP connections")


async def raises_later(scope, receive, send):
    await receive()
    raise KeyError("type")


async def returns(scope, receive, send):
    pass


async def fails(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed"})
    raise RuntimeError("no database")


def serve(app, start=lambda: None):
    events, said = [], iter(["startup", "shutdown"])

    async def receive():
        return {"type": f"lifespan.{next(said)}"}

    async def send(message):
        events.append(message["type"])

    async def stop():
        events.append("stopped")

    def started():
        start()
        events.append("started")

    lifespan = Lifespan(receive, send, start=started, stop=stop)
    try:
        asyncio_runner.run(lifespan.serve(app, {"type": "lifespan"}))
    except Exception as exc:
        events.append(type(exc))
    return events


@pytest.mark.parametrize("app", [None, knows_it, raises_at_once, raises_later, returns])
def test_reading_begins_and_ends_with_the_server(app):
    assert serve(app) == ["started", ANSWERS[0], "stopped", ANSWERS[1]]


def test_an_application_that_does_not_start_says_so():
    assert serve(fails) == ["started", "lifespan.startup.failed", RuntimeError]


def broken():
    raise LookupError("a bad setting")


@pytest.mark.parametrize("app", [None, knows_it, raises_at_once])
def test_a_bad_setting_keeps_the_server_from_starting(app):
    assert serve(app, broken) == [LookupError]
