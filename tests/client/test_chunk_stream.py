"""A stream of a task in Python, against a real sidecar."""

from __future__ import annotations

import pytest
from support.asyncio_runner import run_within as run
from support.conditions import eventually
from support.proxies import Proxy
from support.sample_events import chunk, completed, log, status

from celery_wsprogress.client import Client


def begin(**run):
    return status("started", operation_type="t", metadata={}, **run)


STARTED = begin(at=1.0)


@pytest.fixture
def proxy(served):
    with Proxy(served.port) as proxy:
        yield proxy


def test_a_stream_goes_on_behind_a_lost_connection_with_each_chunk_once(proxy, write):
    pieces = [f"piece {number} " for number in range(9)]
    chunks = [chunk(piece, number, at=2.0) for number, piece in enumerate(pieces)]
    write(STARTED, chunk("no", stream="notes", at=2.0), log("nor this", at=2.0), *chunks[:3])

    async def work():
        found = []
        async with Client(f"ws://localhost:{proxy.port}") as client:
            stream = client.stream("op-1", "answer")
            async for piece in stream:
                found.append(piece)
                if len(found) == 3:
                    proxy.cut()
                    write(*chunks[3:])
                    proxy.mend()
                if len(found) == 9:
                    write(chunk(None, 9, at=3.0, closed=True))
            return found, stream.missing

    assert run(work()) == (pieces, False)


def test_it_ends_with_its_run_or_its_operation_and_tells_what_is_missing(served, write):
    second, third = {"run": "r2", "at": 4.0}, {"run": "r3", "at": 5.0}

    async def first_run(client):
        write(STARTED, chunk("late", 4, at=2.0), completed(at=3.0, duration=2.0))
        stream = client.stream("op-1", "answer")
        return [piece async for piece in stream], stream.missing

    async def second_run(client):
        write(begin(**second), chunk({"row": 1}, **second))
        eventually(lambda: served.sidecar.hub.get("op-1")["run"] == "r2")
        stream, pieces = client.stream("op-1", "answer"), []
        async for piece in stream:
            pieces.append(piece)
            write(status("retrying", **second), begin(**third), chunk("anew", **third))
        return pieces, stream.missing

    async def both():
        async with Client(served.url) as client:
            return await first_run(client), await second_run(client)

    assert run(both()) == ((["late"], True), ([{"row": 1}], False))


def test_who_leaves_a_stream_is_sent_no_more_of_the_operation(served, write):
    async def work():
        async with Client(served.url) as client:
            write(STARTED, chunk("one", at=2.0), chunk("two", 1, at=2.0))
            async for piece in client.stream("op-1", "answer"):
                assert piece == "one"
                break
            # The watch is closed by the loop, some time after it was left.
            while served.sidecar.stats()["subscriptions"]:
                await client.send_command("ping")
            await client.subscribe("op-2")
            write(chunk("three", 2, at=2.0), log("other", at=2.0, operation_id="op-2"))
            return (await anext(client))["operation_id"]

    assert run(work()) == "op-2"
