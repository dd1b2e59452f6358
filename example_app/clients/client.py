"""A client in one file, to be copied. It needs Python 3.11 and `pip install websockets`.

    python client.py <operation-id>     one operation, to its end
    python client.py monitor            every operation
    python client.py stats              the sidecar's figures
    python client.py interactive        subscribe ID, unsubscribe ID, get ID, stats, quit

The sidecar is looked for at WSPROGRESS_WS_URL (default ws://localhost:8765). Where it has a key,
put a token into WSPROGRESS_TOKEN. Exit code: 0 completed, 1 error, 2 no connection, 130 Ctrl-C.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

URL = os.environ.get("WSPROGRESS_WS_URL", "ws://localhost:8765")
TOKEN = os.environ.get("WSPROGRESS_TOKEN")
NEVER_AGAIN = {1003, 1007, 1008, 1009, 4001, *range(4500, 5000)}  # to come back would not help

Frame = dict[str, Any]


class CommandRefusedError(Exception):
    """The sidecar does not take a command; the sentence says why."""


async def ask(websocket: ClientConnection, command: str, **fields: str | None) -> Frame:
    """Send a command and return its reply. Only where no events can come before it."""
    await websocket.send(json.dumps({"command": command, **fields}))
    reply: Frame = json.loads(await websocket.recv())
    if "error" in reply:
        raise CommandRefusedError(reply["error"])
    return reply


async def greet(websocket: ClientConnection) -> None:
    """Read the welcome, which is the first frame; show the token, if there is one."""
    await websocket.recv()
    if TOKEN:
        await ask(websocket, "authenticate", token=TOKEN)


async def watch(operation_id: str) -> AsyncIterator[Frame]:
    """The events of an operation (`*`: of all), across lost connections, none twice."""
    last, seen, failures = None, dict[str, None](), -1
    while True:
        try:
            async with connect(URL) as websocket:
                await greet(websocket)
                since = None if operation_id == "*" else last
                await ask(websocket, "subscribe", operation_id=operation_id, since=since)
                failures = 0
                async for message in websocket:
                    event = json.loads(message)
                    last = event["event_id"]
                    if last not in seen:
                        yield event
                    seen[last] = None
                    if len(seen) > 10_000:
                        del seen[next(iter(seen))]
        except (OSError, WebSocketException) as lost:
            code = lost.rcvd.code if isinstance(lost, ConnectionClosed) and lost.rcvd else 1006
            if failures < 0 or code in NEVER_AGAIN:  # the very first attempt, or told to go
                raise
        # At random, and longer each time: not all clients shall come back at once.
        await asyncio.sleep(random.uniform(0, min(20, 0.5 * 2**failures)))
        failures = min(failures + 1, 6)


def show(event: Frame, *, named: bool = False) -> None:
    """Print an event as one line. What a task says is shown, never obeyed: hence repr()."""
    data = event["data"]
    match event["event_type"]:
        case "progress":
            bar = "#" * round(20 * data["progress"])
            text = f"{data['progress']:4.0%} [{bar:.<20}] {data['message']}"
        case "status":
            text = f"{data['status']} {data.get('operation_type', '')} {data['message']}"
        case "log":
            text = f"{data['level']}: {data['message']}"
        case "result":
            text = f"result: {json.dumps(data['result'])[:500]}"
        case "completed":
            text = f"completed in {data['duration']:.1f} s"
        case "error":
            text = f"{data.get('status', 'error')}: {data['error_type']}: {data['error']}"
        case other:
            text = other
    clock = time.strftime("%H:%M:%S", time.localtime(event["timestamp"]))
    name = f"{event['operation_id'][:8]}  " if named else ""
    line = f"{clock}  {name}{text}".rstrip()
    print(line if line.isprintable() else repr(line)[1:-1], flush=True)


def show_pairs(pairs: Frame) -> None:
    """Print names and values."""
    for name, value in pairs.items():
        print(f"{name:<20} {json.dumps(value)}", flush=True)


async def watch_one(operation_id: str) -> int:
    """Show an operation until it ends."""
    async for event in watch(operation_id):
        show(event)
        if event["event_type"] in {"completed", "error"}:
            return 0 if event["event_type"] == "completed" else 1
    return 1


async def monitor() -> int:
    """Show every operation."""
    async for event in watch("*"):
        show(event, named=True)
    return 0


async def stats() -> int:
    """Show the sidecar's figures."""
    async with connect(URL) as websocket:
        await greet(websocket)
        show_pairs((await ask(websocket, "get_stats"))["stats"])
    return 0


async def interactive() -> int:
    """Send what is typed, and show what comes, both at once."""
    async with connect(URL) as websocket:
        await greet(websocket)
        print("subscribe ID, unsubscribe ID, get ID, stats, quit", flush=True)
        sending = asyncio.create_task(send_typed(websocket))
        async for message in websocket:
            frame = json.loads(message)
            if frame["event_type"] != "reply":
                show(frame, named=True)
            elif frame.get("request_id") == "quit":
                break
            else:
                found = frame.get("operation") or frame.get("stats")
                show_pairs(found or {"reply": frame.get("error") or frame.get("status")})
        sending.cancel()
    return 0


async def send_typed(websocket: ClientConnection) -> None:
    """Send a command for each line of standard input, and one at the end that changes nothing."""
    typed, loop = asyncio.StreamReader(), asyncio.get_running_loop()
    try:
        loop.add_reader(sys.stdin, lambda: feed(typed))
    except PermissionError:  # a plain file, which has everything already
        typed.feed_data(sys.stdin.buffer.read())
        typed.feed_eof()
    names = {"get": "get_operation", "stats": "get_stats"}
    while (line := (await typed.readline()).decode(errors="replace")) and line.strip() != "quit":
        if line.strip():
            word, _, operation_id = line.strip().partition(" ")
            fields = {"operation_id": operation_id} if operation_id else {}
            await websocket.send(json.dumps({"command": names.get(word, word), **fields}))
    await websocket.send(json.dumps({"command": "ping", "request_id": "quit"}))


def feed(typed: asyncio.StreamReader) -> None:
    """Take what standard input has."""
    if some := os.read(sys.stdin.fileno(), 65_536):
        typed.feed_data(some)
    else:
        asyncio.get_running_loop().remove_reader(sys.stdin)
        typed.feed_eof()


def main(arguments: list[str]) -> int:
    """Run a mode to its exit code."""
    if len(arguments) != 1 or arguments[0] in {"-h", "--help"}:
        print(__doc__)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    modes = {"monitor": monitor, "stats": stats, "interactive": interactive}
    mode = modes.get(arguments[0])
    try:
        return asyncio.run(mode() if mode else watch_one(arguments[0]))
    except KeyboardInterrupt:
        return 130
    except (OSError, WebSocketException, CommandRefusedError) as exc:
        print(f"{URL}: {exc}\nDoes `celery-wsprogress serve` run there?", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
