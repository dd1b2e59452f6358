"""Read the sockets of all connections into one buffer, a little at a time.

asyncio reads up to 256 KiB of a socket at once, and as much would be held for each connection.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio


class BufferedReader(asyncio.BufferedProtocol):
    """Passes the callbacks of a transport on to its connection.

    It is an object of its own, since uvloop (0.22, uvloop/handles/basetransport.pyx) reads into a
    buffer only for what is no :class:`asyncio.Protocol`, and a connection of websockets is one.
    """

    __slots__ = ("_connection", "_target")

    def __init__(self, connection: asyncio.Protocol, buffer: memoryview) -> None:
        self._connection = connection
        self._target = buffer

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Return the buffer that the socket is read into."""
        return self._target

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read."""
        self._connection.data_received(bytes(self._target[:nbytes]))

    def eof_received(self) -> None:
        """Pass on that the client sends nothing more."""
        self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the socket is closed."""
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass on that the socket's buffer is full."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the socket's buffer is empty again."""
        self._connection.resume_writing()
