"""The client: reconnects as needed, and gives its user one stream of events.

:class:`Client` has one :class:`.Connection` at a time, and a :class:`.ResumeState` to subscribe
again after a lost one.

Runs in: the event loop it was entered in.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from celery_wsprogress.backoff import Backoff
from celery_wsprogress.client.commands import commands_for, has_recovered
from celery_wsprogress.client.connection import (
    Closed,
    Connection,
    ConnectionLost,
    open_connection,
    wait_for_connection,
)
from celery_wsprogress.client.connection_change import Connected, ConnectionChange, Disconnected
from celery_wsprogress.client.resume_state import EVERYTHING, ResumeState
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


class Client:
    """Watches operations through a sidecar, and reconnects by itself.

    Entering it connects: one attempt, except that it waits for a sidecar that still reads its log.
    After that a lost connection is opened again, with growing delays, and subscriptions continue
    after the last event that was seen. Iterating gives events as dictionaries, in log order, each
    once.

    Args:
        url: ``ws://…`` or ``wss://…``, without a token.
        token: For a sidecar with a key: a token, or a function that returns one, called for each
            connection. It is sent in a command and never logged.
        on_change: Called with a :class:`Connected` or :class:`Disconnected`, in the event loop.
            Must not block.
        resync: Accept a ``snapshot`` event where this client was too slow and missed events. If
            False, the sidecar closes the connection instead; it is opened again, and what is
            still held follows.

    Raises:
        NoConnection: on entering: there is no sidecar. Later, from any method: the connection was
            closed with a code that forbids to connect again.
        CommandError: the sidecar rejects the token.
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
        self._events: deque[Frame] = deque()
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

    async def subscribe(self, *ids: str) -> list[Frame]:
        """Subscribe to operations by id, or to everything (``*``).

        Returns:
            The replies: one, or for very many ids several.

        Raises:
            CommandError: the sidecar refuses it. None of these ids is subscribed again after a
                lost connection.
        """
        self._resume_state.add(ids)
        try:
            return [
                await self.send_command(**self._with_resync(one))
                for one in commands_for("subscribe", ids)
            ]
        except BaseException:
            self._resume_state.remove(ids)
            raise

    async def unsubscribe(self, *ids: str) -> list[Frame]:
        """Unsubscribe from operations, and return the replies."""
        self._resume_state.remove(ids)
        return [await self.send_command(**one) for one in commands_for("unsubscribe", ids)]

    async def cancel(
        self, operation_id: str, *, terminate: bool = False, reason: str = ""
    ) -> Frame:
        """Ask for an operation to be cancelled. How it ends comes as its events.

        Returns:
            The reply: ``status`` is ``accepted`` once the workers were told, or ``ended``.

        Args:
            operation_id: The task.
            terminate: Whether its process should be ended if it runs, where the pool can.
            reason: Why, up to 200 characters; all who watch see it.

        Raises:
            CommandError: the sidecar refuses it, or cannot reach the workers.
        """
        more = {"terminate": terminate, "reason": reason or None}
        return await self.send_command("cancel", operation_id=operation_id, **more)

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

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self

    async def __anext__(self) -> Frame:
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            self._raise_failure()
            await self._wait_for_change()
        event = self._events.popleft()
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
        # The user who awaits a reply may be the one who takes the events: then reading goes on.
        while len(self._events) >= MAX_QUEUED and not self._pending_commands:
            await self._wait_for_change()
        self._events.append(event)
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
