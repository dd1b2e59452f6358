"""Servers that do as little as can be done: the limits that the sidecar is held against.

``python -m benchmarks.baselines send`` loops over its sockets; ``… broadcast`` is a server of the
library `websockets` that calls its ``broadcast()``. Each sends every line of its standard input
to all of its clients. ``… subscribe URL`` loops over its sockets with what is published in a
:data:`CHANNEL` of a Redis. They print the port they listen on, know no operations and no
subscriptions, and decode nothing.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import redis
import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

from benchmarks.machine import MEASURED, processor_time, started

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

CHANNEL: Final = "bare"

# That of the example in RFC 6455, 1.3: its key is the one that load.c sends.
_ACCEPTED: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


class Bare:
    """One of these servers, from outside. Made by :func:`bare`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self._process = process
        self.port = int(process.stdout.readline())

    def send(self, text: bytes) -> None:
        """Send a text without a line's end in it to all clients."""
        assert self._process.stdin is not None
        self._process.stdin.write(text.decode() + "\n")
        self._process.stdin.flush()

    @property
    def pid(self) -> int:
        """Processor seconds of its process."""
        return self._process.pid

    @property
    def processor_time(self) -> float:
        """Seconds of the processor it has used."""
        return processor_time(self.pid)


@contextmanager
def bare(*kind: str) -> Iterator[Bare]:
    """Start one: ``send``, ``broadcast``, or ``subscribe`` with a URL."""
    command = [sys.executable, "-m", "benchmarks.baselines", *kind]
    with started(command, MEASURED) as process:
        yield Bare(process)


# In their processes.


def _send() -> None:
    """Send with a loop, blocking."""
    sockets: list[socket.socket] = []
    with _listen() as listener, selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin.buffer, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    sockets.append(_accept(listener))
                    continue
                frame = _frame(sys.stdin.buffer.readline().rstrip(b"\n"))
                for one in sockets:
                    one.send(frame)


def _subscribe(url: str) -> None:
    """Send with a loop what is published."""
    sockets: list[socket.socket] = []
    channel = redis.Redis.from_url(url).pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    channel.subscribe(CHANNEL)
    with _listen() as listener:

        def accept() -> None:
            while True:
                sockets.append(_accept(listener))

        threading.Thread(target=accept, daemon=True).start()
        for message in channel.listen():
            frame = _frame(message["data"])
            for one in sockets:
                one.send(frame)


def _listen() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(listener.getsockname()[1], flush=True)
    return listener


def _accept(listener: socket.socket) -> socket.socket:
    one, _ = listener.accept()
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    asked = b""
    while not asked.endswith(b"\r\n\r\n"):
        asked += one.recv(4096)
    one.send(_ACCEPTED)
    return one


def _frame(text: bytes) -> bytes:
    """A text of 126 to 65,535 bytes as a server's frame (RFC 6455, 5.2)."""
    return b"\x81\x7e" + len(text).to_bytes(2) + text


async def _broadcast() -> None:
    """Send as the documentation of websockets advises."""
    connections: set[ServerConnection] = set()

    async def keep(connection: ServerConnection) -> None:
        connections.add(connection)
        await connection.wait_closed()

    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=2**20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with serve(keep, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        while line := await lines.readline():
            broadcast(connections, line.rstrip(b"\n").decode())


if __name__ == "__main__":
    if sys.argv[1] == "broadcast":
        uvloop.run(_broadcast())
    elif sys.argv[1] == "subscribe":
        _subscribe(sys.argv[2])
    else:
        _send()
