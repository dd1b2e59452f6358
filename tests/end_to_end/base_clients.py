"""Clients written only against the base rows of the protocol, as people have them.

None of them knows a reply's ``event_type``, an event id, a state or anything else that was
added. Each returns the lines it would print; the last one says how the operation ended.
"""

from __future__ import annotations

import asyncio
import json

from support import asyncio_runner
from support.wire_document import connect_async as connect

PATIENCE = 60


async def by_every_frame(url, operation_id, ready=None):
    """Reads ``event_type`` and ``data`` from every frame after the welcome."""
    printed = []
    async with connect(url) as websocket:
        welcome = json.loads(await websocket.recv())
        printed.append(f"client {welcome['data']['client_id']}: {welcome['data']['message']}")
        await websocket.send(json.dumps({"command": "subscribe", "operation_id": operation_id}))
        async for message in websocket:
            event = json.loads(message)
            kind, data = event["event_type"], event["data"]
            if ready and kind == "reply":
                ready()
            printed += shown(kind, data)
            if kind in {"completed", "error"}:
                return printed
    raise AssertionError("closed before the end")


async def by_position(url, operation_id, ready=None):
    """Takes the second frame for the confirmation, and events from then on."""
    async with connect(url) as websocket:
        welcome = json.loads(await websocket.recv())
        assert welcome["event_type"] == "connected"
        await websocket.send(json.dumps({"command": "subscribe", "operation_id": operation_id}))
        confirmation = json.loads(await websocket.recv())
        assert confirmation["status"] == "subscribed"
        assert confirmation["operation_id"] == operation_id
        if ready:
            ready()
        printed = []
        while True:
            event = json.loads(await websocket.recv())
            assert event["operation_id"] == operation_id
            assert isinstance(event["timestamp"], float)
            printed += shown(event["event_type"], event["data"])
            if event["event_type"] in {"completed", "error"}:
                return printed


async def twice(url, operation_id, ready=None):
    """Subscribes twice, and counts: nothing may come twice."""
    async with connect(url) as websocket:
        await websocket.recv()
        for _ in range(2):
            await websocket.send(json.dumps({"command": "subscribe", "operation_id": operation_id}))
        if ready:
            ready()
        raw, printed = [], []
        async for message in websocket:
            event = json.loads(message)
            if event["event_type"] == "reply":
                continue
            assert message not in raw
            raw.append(message)
            printed += shown(event["event_type"], event["data"])
            if event["event_type"] in {"completed", "error"}:
                return printed
    raise AssertionError("closed before the end")


async def unsubscribed(url, operation_id, ready=None):
    """Subscribes to nothing and shows whatever comes (``--monitor-unsubscribed``)."""
    async with connect(url) as websocket:
        await websocket.recv()
        if ready:
            # It is served after a second without a command.
            asyncio.get_running_loop().call_later(1.5, ready)
        printed = []
        async for message in websocket:
            event = json.loads(message)
            if event["operation_id"] != operation_id:
                continue
            printed += shown(event["event_type"], event["data"])
            if event["event_type"] in {"completed", "error"}:
                return printed
    raise AssertionError("closed before the end")


def shown(kind, data):
    """What a base client prints of an event: formats that break on a null or a wrong type."""
    if kind == "progress":
        return [f"{data['progress'] * 100:.0f}% {data['message'] + ''} {dict(data['details'])}"]
    if kind == "status":
        line = f"status {data['status']}: {data['message'] + ''}"
        if data["status"] == "started":
            line += f" {data['operation_type']} {dict(data['metadata'])}"
        return [line]
    if kind == "log":
        return [f"[{data['level'].upper()}] {data['message'] + ''}"]
    if kind == "result":
        return [f"result {json.dumps(data['result'])[:80]}"]
    ends = {
        "completed": lambda: [f"{data['status']} in {data['duration']:.2f}s"],
        "error": lambda: [f"error {data['error_type'] + ''}: {data['error'] + ''}"],
    }
    return ends.get(kind, list)()


CLIENTS = (by_every_frame, by_position, twice)


def watch(client, url, operation_id, ready=None):
    """Run a client to its end, with patience but not for ever."""

    async def patiently():
        async with asyncio.timeout(PATIENCE):
            return await client(url, operation_id, ready)

    return asyncio_runner.run(patiently())
