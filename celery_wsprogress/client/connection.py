"""One WebSocket connection: from its welcome to its close.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
import json
import socket
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from celery_wsprogress.errors import CommandError, NoConnection
from celery_wsprogress.protocol.close_codes import LOST, UNREADABLE, retry_after
from celery_wsprogress.urls import is_loopback, masked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from websockets.asyncio.client import ClientConnection

    Frame = dict[str, Any]

OPEN_TIMEOUT: Final = 10.0
"""Seconds to connect, and again to get the welcome."""

CLOSE_TIMEOUT: Final = 2.0

PATIENCE: Final = 60.0
"""Seconds that a sidecar is waited for which says when it will be there."""


class Closed(NamedTuple):
    """How a connection ended."""

    code: int
    reason: str


class ConnectionLost(Exception):
    """The connection ended before the reply came. Never leaves the client."""


class Connection:
    """One open connection.

    Args:
        websocket: The socket.
        welcome: The first frame.
    """

    def __init__(self, websocket: ClientConnection, welcome: Frame) -> None:
        self.welcome = welcome
        self._websocket = websocket
        self._numbers = count(1)
        self._replies: dict[object, asyncio.Future[Frame]] = {}
        self._closed = False

    async def ask(self, command: Frame) -> Frame:
        """Send a command and wait for its reply, while :meth:`read` runs.

        Raises:
            CommandError: the sidecar does not take it.
            LineLost: the connection ended.
        """
        if self._closed:
            raise ConnectionLost
        number = next(self._numbers)
        waiting = self._replies[number] = asyncio.get_running_loop().create_future()
        try:
            await self._websocket.send(json.dumps({**command, "request_id": number}))
            reply: Frame = await waiting
        except ConnectionClosed:
            raise ConnectionLost from None
        finally:
            self._replies.pop(number, None)
        if "error" in reply:
            raise CommandError(str(reply.get("code", "")), str(reply["error"]))
        return reply

    async def read(self, take: Callable[[Frame], Awaitable[None]]) -> Closed:
        """Hand over each event until the connection ends, and say how it did.

        While ``take`` waits nothing more is read: the sidecar then conflates progress.
        """
        try:
            async for message in self._websocket:
                frame = _frame(message)
                if frame.get("event_type") == "reply":
                    self._resolve(frame)
                elif frame.get("event_type") != "connected":
                    await take(frame)
        except ConnectionClosed:
            pass
        except ValueError:
            return Closed(UNREADABLE, "what it sends is no JSON")
        finally:
            self._let_go()
        return Closed(self._websocket.close_code or LOST, self._websocket.close_reason or "")

    def _resolve(self, frame: Frame) -> None:
        waiting = self._replies.get(frame.get("request_id"))
        if waiting is not None and not waiting.done():
            waiting.set_result(frame)

    def _let_go(self) -> None:
        self._closed = True
        for waiting in self._replies.values():
            if not waiting.done():
                waiting.set_exception(ConnectionLost())

    async def close(self) -> None:
        """Close it; returns when it is closed."""
        await self._websocket.close()


async def open_connection(url: str) -> Connection:
    """Connect and read the welcome.

    Raises:
        NoConnection: there is nobody, or it is no sidecar.
    """
    try:
        websocket = await connect(
            url,
            compression=None,
            open_timeout=OPEN_TIMEOUT,
            close_timeout=CLOSE_TIMEOUT,
            # No proxy knows this machine's own addresses, whatever the environment says of it.
            proxy=None if is_loopback(urlsplit(url).hostname or "") else True,
        )
    except (OSError, WebSocketException, ValueError) as exc:
        raise NoConnection(masked(url), _why(exc), retry_in=_retry_in(exc)) from None
    try:
        return Connection(websocket, await _welcome(websocket))
    except (OSError, WebSocketException, ValueError):
        await websocket.close()
        raise NoConnection(masked(url), "what answers there is no sidecar") from None


async def wait_for_connection(url: str) -> Connection:
    """As :func:`open_connection`, but wait where the sidecar itself says how long.

    Raises:
        NoConnection: as there; or it is not there within :data:`PATIENCE`.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while True:
        try:
            return await open_connection(url)
        except NoConnection as exc:
            if exc.retry_in is None or loop.time() + exc.retry_in > deadline:
                raise
            await asyncio.sleep(exc.retry_in)


async def _welcome(websocket: ClientConnection) -> Frame:
    async with asyncio.timeout(OPEN_TIMEOUT):
        welcome = _frame(await websocket.recv())
    if welcome.get("event_type") != "connected":
        raise ValueError(welcome)
    return welcome


def _frame(message: str | bytes) -> Frame:
    frame = json.loads(message)
    if not isinstance(frame, dict):
        raise ValueError(frame)  # noqa: TRY004 - as for what is no JSON
    return frame


def _retry_in(exc: Exception) -> float | None:
    if not isinstance(exc, InvalidStatus):
        return None
    return retry_after(exc.response.status_code, exc.response.headers.get("Retry-After"))


def _why(exc: Exception) -> str:
    """A reason as a person says it."""
    if isinstance(exc, InvalidStatus):
        body = (exc.response.body or b"").decode(errors="replace").strip()
        return f"HTTP {exc.response.status_code} {body[:200]}".strip()
    if isinstance(exc, InvalidURI):
        return "no WebSocket address"
    if isinstance(exc, TimeoutError):
        return f"no answer within {OPEN_TIMEOUT:.0f} s"
    if isinstance(exc, socket.gaierror):
        return "the host name is not known"
    # asyncio says it once for each address of the host, in one long line.
    if isinstance(exc, ConnectionRefusedError) or "Connect call failed" in str(exc):
        return "nobody listens there"
    return str(exc) or type(exc).__name__
