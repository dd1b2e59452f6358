"""The part of the client that connects and reconnects, and queues the events for its user.

It has one :class:`.Connection` at a time, and a :class:`.ResumeState` to subscribe again after a
lost one.

Runs in: the event loop it was entered in.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from celery_wsprogress.backoff import Backoff
from celery_wsprogress.client.commands import has_recovered
from celery_wsprogress.client.connection import (
    Closed,
    Connection,
    ConnectionLost,
    open_connection,
    wait_for_connection,
)
from celery_wsprogress.client.connection_change import Connected, ConnectionChange, Disconnected
from celery_wsprogress.client.resume_state import EVERYTHING, ResumeState
from celery_wsprogress.client.websocket_event import WebSocketEvent
from celery_wsprogress.errors import NoConnection
from celery_wsprogress.protocol.close_codes import (
    LOST,
    TOKEN_EXPIRED,
    is_final,
    restart_delay,
)
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Self

    Frame = dict[str, Any]

Token: TypeAlias = str | Callable[[], str] | None

MAX_QUEUED: Final = 1_000
"""Events that the user has not taken yet. With more of them nothing is read from the socket, unless
a command waits for its reply."""


class ReconnectingClient:
    """A connection that is opened again when it is lost, and its events.

    :class:`.Client` says what the arguments and the methods mean for its users.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token = None,
        on_change: Callable[[ConnectionChange], None] | None = None,
        resync: bool = False,
    ) -> None:
        self.url = url
        self.welcome: Frame = {}
        """The ``connected`` frame of the latest connection."""
        self._token = token
        self._sent_token: str | None = None
        self._on_change = on_change
        self._resync = resync
        self._resume_state = ResumeState()
        self._backoff = Backoff()
        self._events: deque[WebSocketEvent] = deque()
        self._watched: dict[str, deque[WebSocketEvent]] = {}
        """The events of each :meth:`watch`, by operation id."""
        self._connection: Connection | None = None
        self._pending_commands = 0
        self._closed = False
        self._failure: BaseException | None = None
        self._changed = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        connection = await wait_for_connection(self.url)
        self._runner = asyncio.create_task(self._run(connection))
        self._runner.add_done_callback(self._on_runner_done)
        try:
            await self._connected()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection for good, and wait until it is closed."""
        self._closed = True
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])

    async def send_command(self, command: str, **fields: Any) -> Frame:
        """Send a command and return its reply. Without a connection, wait for the next one.

        A command whose connection is lost before the reply is sent again.

        Raises:
            CommandError: the sidecar refuses it.
        """
        while True:
            connection = await self._connected()
            try:
                return await self._send_on(connection, {"command": command, **fields})
            except ConnectionLost:
                if self._connection is connection:
                    self._connection = None

    def __aiter__(self) -> AsyncIterator[WebSocketEvent]:
        return self

    async def __anext__(self) -> WebSocketEvent:
        event = await self._take(self._events)
        if event is None:
            raise StopAsyncIteration
        return event

    async def _take(self, events: deque[WebSocketEvent]) -> WebSocketEvent | None:
        """Return the next of these events; None once the client is closed."""
        while not events:
            if self._closed:
                return None
            self._raise_failure()
            await self._wait_for_change()
        event = events.popleft()
        self._changed.set()
        return event

    async def _run(self, connection: Connection) -> None:
        reconnected = False
        while True:
            closed = await self._serve_connection(connection, reconnected=reconnected)
            self._connection = None
            connection = await self._reconnect(closed)
            reconnected = True

    async def _serve_connection(self, connection: Connection, *, reconnected: bool) -> Closed:
        """Use a connection until it is closed; return how it was closed."""
        reader = asyncio.create_task(connection.read(self._on_event))
        try:
            with contextlib.suppress(ConnectionLost):
                await self._handshake(connection, reconnected=reconnected)
            return await reader
        finally:
            reader.cancel()
            await connection.close()

    async def _handshake(self, connection: Connection, *, reconnected: bool) -> None:
        self._sent_token = self._token() if callable(self._token) else self._token
        if self._sent_token:
            await self._send_on(connection, {"command": "authenticate", "token": self._sent_token})
        resuming = map(self._with_resync, self._resume_state.resume())
        replies = [await self._send_on(connection, one) for one in resuming]
        self.welcome, self._connection = connection.welcome, connection
        self._backoff.reset()
        self._changed.set()
        # With `*`, an operation may have begun and ended meanwhile: no reply tells of it.
        known = not (reconnected and EVERYTHING in self._resume_state.subscribed)
        self._notify(Connected(reconnected, known and all(map(has_recovered, replies))))

    def _with_resync(self, command: Frame) -> Frame:
        """Add ``resync`` to a subscribe command, if the user wants it."""
        if self._resync and command["command"] == "subscribe":
            return {**command, "resync": True}
        return command

    async def _reconnect(self, closed: Closed) -> Connection:
        """Wait and connect, until an attempt succeeds."""
        delay = self._delay(closed)
        while True:
            self._notify(Disconnected(*closed, delay))
            await asyncio.sleep(delay)
            try:
                return await open_connection(self.url)
            except NoConnection as exc:
                # All clients got the same time, so each adds a random one.
                closed = Closed(LOST, exc.reason)
                delay = (exc.retry_in or 0.0) + self._backoff.next()

    def _delay(self, closed: Closed) -> float:
        """Return the seconds to wait after a connection was closed.

        Raises:
            NoConnection: the close code forbids to connect again.
        """
        code, reason = closed
        if is_final(code) or (code == TOKEN_EXPIRED and not self._has_new_token()):
            raise NoConnection(masked(self.url), reason or "the connection was closed", code)
        restart_in = restart_delay(code, reason)
        return self._backoff.next() if restart_in is None else restart_in

    def _has_new_token(self) -> bool:
        return callable(self._token) and self._token() != self._sent_token

    def _notify(self, change: ConnectionChange) -> None:
        if self._on_change is not None:
            self._on_change(change)

    async def _on_event(self, event: Frame) -> None:
        if not self._resume_state.is_new(event):
            return
        events = self._watched.get(str(event.get("operation_id")), self._events)
        # The user who awaits a reply may be the one who takes the events: then reading goes on.
        while len(events) >= MAX_QUEUED and not self._pending_commands:
            await self._wait_for_change()
        events.append(WebSocketEvent(event))
        self._changed.set()

    async def _send_on(self, connection: Connection, command: Frame) -> Frame:
        self._pending_commands += 1
        self._changed.set()
        try:
            return await connection.send_command(command)
        finally:
            self._pending_commands -= 1

    async def _connected(self) -> Connection:
        while self._connection is None:
            self._raise_failure()
            await self._wait_for_change()
        return self._connection

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _wait_for_change(self) -> None:
        """Wait until an event, room for one, a connection or the end of one is there."""
        self._changed.clear()
        await self._changed.wait()

    def _on_runner_done(self, runner: asyncio.Task[None]) -> None:
        closed = NoConnection(masked(self.url), "the client was closed")
        self._failure = closed if runner.cancelled() else runner.exception()
        self._connection = None
        self._changed.set()
