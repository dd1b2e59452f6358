"""A client of the ASGI application that takes what it is sent when it likes, on a real Redis."""

from __future__ import annotations

import asyncio
import json

import pytest
from support import asyncio_runner
from support.event_log import log_writer
from support.sample_events import completed, log, progress, status

from celery_wsprogress.contrib.asgi import wsprogress_asgi
from celery_wsprogress.operations.history import MAX_ENTRIES
from celery_wsprogress.protocol.close_codes import RESTARTING, TOO_SLOW
from celery_wsprogress.protocol.messages import MAX_MESSAGE_BYTES

LIMIT = 120
"""Seconds; for very busy machines."""


class FakeClient:
    """A client without a socket: the two ways of ASGI.

    Args:
        app: The application.
        path: The path.
        kind: ``websocket`` or ``http``.
    """

    def __init__(self, app, path, kind="websocket"):
        self.takes = asyncio.Event()
        self.takes.set()
        self.sent = []
        """What was sent and taken."""
        self.offered = 0
        """Messages that were sent, or wait to be taken."""
        self._changed = asyncio.Condition()
        self._incoming = asyncio.Queue()
        if kind == "websocket":
            self.say("websocket.connect")
        scope = {
            "type": kind,
            "path": path,
            "query_string": b"",
            "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 1),
        }
        self.task = asyncio.create_task(app(scope, self._incoming.get, self._send))

    async def _send(self, message):
        self.offered += 1
        await self.takes.wait()
        async with self._changed:
            self.sent.append(message)
            self._changed.notify_all()

    def say(self, kind, **more):
        self._incoming.put_nowait({"type": kind, **more})

    def command(self, **fields):
        self.say("websocket.receive", text=json.dumps(fields))

    @property
    def frames(self):
        return [json.loads(one["text"]) for one in self.sent if one["type"] == "websocket.send"]

    @property
    def types(self):
        return [one["event_type"] for one in self.frames]

    async def until(self, condition):
        """Wait until what was sent is so."""
        async with asyncio.timeout(LIMIT), self._changed:
            await self._changed.wait_for(condition)

    async def closed(self):
        async with asyncio.timeout(LIMIT):
            await self.task
        return self.sent[-1]

    async def leave(self, kind="websocket.disconnect"):
        self.say(kind, code=1000)
        async with asyncio.timeout(LIMIT):
            await self.task


@pytest.fixture
def run(redis_url):
    """Run a test with the application in the lifespan of a server, and a writer of the log."""

    def run(work, **settings):
        async def within_lifespan():
            app = wsprogress_asgi(url=redis_url, insecure=True, **settings)
            lifespan = Lifespan(app)
            await lifespan.start()
            with log_writer(redis_url) as write:
                await work(app, write)
            await lifespan.stop()

        asyncio_runner.run_within(within_lifespan(), 300)

    return run


class Lifespan:
    """What a server says when it starts and stops."""

    def __init__(self, app):
        self._incoming, self._answers = asyncio.Queue(), asyncio.Queue()
        scope = {"type": "lifespan"}
        self._task = asyncio.create_task(app(scope, self._incoming.get, self._answers.put))

    async def start(self):
        await self._say("startup")

    async def stop(self):
        await self._say("shutdown")
        await self._task

    async def _say(self, word):
        self._incoming.put_nowait({"type": f"lifespan.{word}"})
        async with asyncio.timeout(LIMIT):
            assert await self._answers.get() == {"type": f"lifespan.{word}.complete"}


LINES = MAX_ENTRIES + 500


def flood(write):
    """More lines than are held of an operation, and its end."""
    for first in range(0, LINES, 500):
        write(*(log(f"{number}" + "x" * 500) for number in range(first, first + 500)))
    write(progress(0.9), completed())


async def watch_slowly(app, write):
    """Have a client watch and take nothing while a flood comes; return it as it takes again."""
    write(status("started"))
    slow, quick = FakeClient(app, "/ws"), FakeClient(app, "/ws")
    for one in (slow, quick):
        one.command(command="subscribe", operation_id="op-1", resync=True)
        await one.until(lambda one=one: "status" in one.types)
    slow.takes.clear()
    offered = slow.offered
    flood(write)
    await quick.until(lambda: quick.types[-1] == "completed")
    assert slow.offered <= offered + 1, "nothing more is sent while it takes nothing"
    slow.takes.set()
    await quick.leave()
    return slow


def test_a_slow_client_gets_a_snapshot_and_misses_no_end(run):
    async def work(app, write):
        slow = await watch_slowly(app, write)
        await slow.until(lambda: slow.types[-1] == "completed")
        assert "snapshot" in slow.types
        held = len(slow.types) - slow.types.index("snapshot")
        assert held <= MAX_ENTRIES + 1
        await slow.leave()

    run(work)


def test_a_slow_client_that_takes_no_snapshot_is_closed(run):
    async def work(app, write):
        write(status("started"))
        slow, quick = FakeClient(app, "/ws/op-1"), FakeClient(app, "/ws/op-1")
        for one in (slow, quick):
            await one.until(lambda one=one: "status" in one.types)
        quick.command(command="subscribe", operation_id="op-1", resync=True)
        await quick.until(lambda: quick.types.count("reply") == 2)
        slow.takes.clear()
        flood(write)
        await quick.until(lambda: quick.types[-1] == "completed")
        slow.takes.set()
        closed = await slow.closed()
        assert (closed["type"], closed["code"]) == ("websocket.close", TOO_SLOW)
        await quick.leave()

    run(work)


def test_no_command_is_read_before_the_reply_to_the_one_before_is_taken(run):
    async def work(app, _write):
        client = FakeClient(app, "/ws")
        await client.until(lambda: client.types == ["connected"])
        client.takes.clear()
        for number in range(50):
            client.command(command="ping", request_id=number)
        offered = client.offered
        quick = FakeClient(app, "/ws")
        for number in range(50):
            quick.command(command="ping", request_id=number)
        await quick.until(lambda: len(quick.types) == 51)
        assert client.offered <= offered + 1
        client.takes.set()
        await client.until(lambda: len(client.types) == 51)
        assert [one["request_id"] for one in client.frames[1:]] == [*range(50)]
        await client.leave()
        await quick.leave()

    run(work)


def test_a_message_that_is_too_large_ends_the_connection(run):
    async def work(app, _write):
        client = FakeClient(app, "/ws")
        client.say("websocket.receive", text="x" * (MAX_MESSAGE_BYTES + 1))
        assert (await client.closed())["code"] == 1009

    run(work)


def test_a_client_that_connects_when_there_are_too_many_is_refused(run):
    async def work(app, _write):
        first, second = FakeClient(app, "/ws"), FakeClient(app, "/ws")
        await first.until(lambda: first.types == ["connected"])
        assert await second.closed() == {"type": "websocket.close"}
        await first.leave()
        third = FakeClient(app, "/ws")
        await third.until(lambda: third.types == ["connected"])
        await third.leave()

    run(work, max_connections=1)


def test_a_stream_says_that_it_is_there_and_ends_with_its_page(run):
    async def work(app, write):
        page = FakeClient(app, "/operations/op-1/events", "http")
        await page.until(lambda: len(page.sent) >= 3)
        retry, *comments = [one["body"] for one in page.sent[1:]]
        assert retry.startswith(b"retry: ")
        assert {*comments} == {b": still here\n\n"}
        write(status("started"))
        await page.until(lambda: b"started" in page.sent[-1]["body"])
        await page.leave("http.disconnect")

    run(work, heartbeat=1.0)


def test_when_the_server_stops_clients_are_told_to_come_back(redis_url):
    async def work():
        app = wsprogress_asgi(url=redis_url, insecure=True)
        lifespan = Lifespan(app)
        await lifespan.start()
        client = FakeClient(app, "/ws")
        page = FakeClient(app, "/operations/op-1/events", "http")
        await client.until(lambda: client.types == ["connected"])
        await page.until(lambda: len(page.sent) == 2)
        await lifespan.stop()
        closed = await client.closed()
        assert closed["code"] == RESTARTING
        assert "retry_ms" in json.loads(closed["reason"])
        assert (await page.closed())["more_body"] is False

    asyncio_runner.run_within(work(), 300)
