"""One WebSocket connection to a sidecar, from its welcome to its close.

:class:`.Client` opens one after another. :class:`Connection` matches replies to commands by their
``request_id``.

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

MAX_STARTUP_WAIT: Final = 60.0
"""Seconds to wait for a sidecar that answers 503 with ``Retry-After``."""


class Closed(NamedTuple):
    """The end of a connection: its close code and reason."""

    code: int
    reason: str


class ConnectionLost(Exception):
    """The connection was closed before the reply came. Users of the client never see it."""


class Connection:
    """One open connection.

    Args:
        websocket: The connection of websockets.
        welcome: The ``connected`` frame.
    """

    def __init__(self, websocket: ClientConnection, welcome: Frame) -> None:
        self.welcome = welcome
        self._websocket = websocket
        self._request_ids = count(1)
        self._replies: dict[object, asyncio.Future[Frame]] = {}
        self._closed = False

    async def send_command(self, command: Frame) -> Frame:
        """Send a command and return its reply. :meth:`read` must be running.

        Raises:
            CommandError: the sidecar refuses it.
            ConnectionLost: the connection was closed.
        """
        if self._closed:
            raise ConnectionLost
        request_id = next(self._request_ids)
        pending = self._replies[request_id] = asyncio.get_running_loop().create_future()
        try:
            await self._websocket.send(json.dumps({**command, "request_id": request_id}))
            reply: Frame = await pending
        except ConnectionClosed:
            raise ConnectionLost from None
        finally:
            self._replies.pop(request_id, None)
        if "error" in reply:
            raise CommandError(str(reply.get("code", "")), str(reply["error"]))
        return reply

    async def read(self, on_event: Callable[[Frame], Awaitable[None]]) -> Closed:
        """Pass on each event until the connection is closed; return how it was closed.

        While ``on_event`` waits, nothing more is read, and the sidecar conflates progress.
        """
        try:
            async for message in self._websocket:
                frame = _frame(message)
                if frame.get("event_type") == "reply":
                    self._resolve(frame)
                elif frame.get("event_type") != "connected":
                    await on_event(frame)
        except ConnectionClosed:
            pass
        except ValueError:
            return Closed(UNREADABLE, "the server sent something that is not JSON")
        finally:
            self._fail_pending()
        return Closed(self._websocket.close_code or LOST, self._websocket.close_reason or "")

    def _resolve(self, frame: Frame) -> None:
        pending = self._replies.get(frame.get("request_id"))
        if pending is not None and not pending.done():
            pending.set_result(frame)

    def _fail_pending(self) -> None:
        self._closed = True
        for pending in self._replies.values():
            if not pending.done():
                pending.set_exception(ConnectionLost())

    async def close(self) -> None:
        """Close it, and wait until it is closed."""
        await self._websocket.close()


async def open_connection(url: str) -> Connection:
    """Connect and read the welcome.

    Raises:
        NoConnection: nothing listens there, or it is not a sidecar.
    """
    try:
        websocket = await connect(
            url,
            compression=None,
            open_timeout=OPEN_TIMEOUT,
            close_timeout=CLOSE_TIMEOUT,
            # HTTP_PROXY and the like do not apply to this machine's own addresses.
            proxy=None if is_loopback(urlsplit(url).hostname or "") else True,
        )
    except (OSError, WebSocketException, ValueError) as exc:
        raise NoConnection(masked(url), _describe(exc), retry_in=_retry_in(exc)) from None
    try:
        return Connection(websocket, await _welcome(websocket))
    except (OSError, WebSocketException, ValueError):
        await websocket.close()
        raise NoConnection(masked(url), "the server there is not a sidecar") from None


async def wait_for_connection(url: str) -> Connection:
    """Open a connection; wait and retry while the sidecar answers that it still starts.

    Raises:
        NoConnection: as :func:`open_connection`, or it does not start within
            :data:`MAX_STARTUP_WAIT`.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + MAX_STARTUP_WAIT
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
        raise ValueError(frame)  # noqa: TRY004 - the same error as for invalid JSON
    return frame


def _retry_in(exc: Exception) -> float | None:
    if not isinstance(exc, InvalidStatus):
        return None
    return retry_after(exc.response.status_code, exc.response.headers.get("Retry-After"))


def _describe(exc: Exception) -> str:
    """Return the reason why it cannot connect, for a person."""
    if isinstance(exc, InvalidStatus):
        body = (exc.response.body or b"").decode(errors="replace").strip()
        return f"HTTP {exc.response.status_code} {body[:200]}".strip()
    if isinstance(exc, InvalidURI):
        return "this is not a WebSocket URL"
    if isinstance(exc, TimeoutError):
        return f"no answer within {OPEN_TIMEOUT:.0f} s"
    if isinstance(exc, socket.gaierror):
        return "the host name is unknown"
    # asyncio joins one message for each address of the host.
    if isinstance(exc, ConnectionRefusedError) or "Connect call failed" in str(exc):
        return "nothing listens there"
    return str(exc) or type(exc).__name__
