"""The client: one connection after another, and to its user one stream of events.

Runs in: the event loop it was entered in.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from celery_wsprogress.backoff import Backoff
from celery_wsprogress.client.connection import (
    Closed,
    Connection,
    ConnectionLost,
    open_connection,
    wait_for_connection,
)
from celery_wsprogress.client.resume_state import EVERYTHING, ResumeState, chunks
from celery_wsprogress.errors import NoConnection
from celery_wsprogress.protocol.close_codes import LOST, TOKEN_EXPIRED, is_final, restart_delay
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Self

    Frame = dict[str, Any]

Token: TypeAlias = str | Callable[[], str] | None

MAX_WAITING: Final = 1_000
"""Events nobody has taken yet; then nothing more is read but replies that are waited for."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The connection is there, and everything is subscribed again."""

    again: bool
    """It was there before."""
    recovered: bool
    """Nothing was missed: exactly what was missing follows. False: the sidecar cannot tell,
    and what it holds follows (what was seen of it is left out)."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone, or did not come back."""

    code: int
    """The close code; 1006 where there was none."""
    reason: str
    retry_in: float
    """Seconds until the next attempt."""


Change: TypeAlias = Connected | Lost


class Client:
    """Watches operations through a sidecar, and comes back by itself.

    Entering it connects, once (a sidecar that has yet to read its log is waited for); from then
    on a lost connection is opened again, with growing waits, and subscriptions go on where they
    were. Iterating gives events as dictionaries, in log order, each once.

    Args:
        url: ``ws://…`` or ``wss://…``. Never with a token in it.
        token: Where the sidecar has a key: a token, or a function that gives one, which is
            called for each connection. It is sent in a command and shown nowhere.
        on_change: Called with :class:`Connected` and :class:`Lost`; must not block.
        resync: Take a ``snapshot`` event where events were missed, because they were not taken
            in time: the operation as it stands. Else the connection is closed then, and opened
            again, and what is still held follows.

    Raises:
        NoConnection: on entering: there is no sidecar; later, from whatever is awaited: the
            connection is over for good.
        CommandError: the sidecar does not take the token, or does not take it any more.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token = None,
        on_change: Callable[[Change], None] | None = None,
        resync: bool = False,
    ) -> None:
        self.url = url
        self.welcome: Frame = {}
        """The first frame of the latest connection."""
        self._token = token
        self._sent_token: str | None = None
        self._on_change = on_change
        self._resync = resync
        self._memory = ResumeState()
        self._backoff = Backoff()
        self._events: deque[Frame] = deque()
        self._line: Connection | None = None
        self._asking = 0
        self._closed = False
        self._failure: BaseException | None = None
        self._changed = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        line = await wait_for_connection(self.url)
        self._running = asyncio.create_task(self._run(line))
        self._running.add_done_callback(self._end)
        try:
            await self._connected()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection for good; waits until that is done."""
        self._closed = True
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    # What its user does.

    async def subscribe(self, *ids: str) -> list[Frame]:
        """Watch operations by id, or everything (``*``); returns the replies.

        Raises:
            CommandError: the sidecar does not let it; then none of the ids is watched again
                after a lost connection.
        """
        self._memory.add(ids)
        try:
            return [await self.ask(**self._with_resync(one)) for one in _each("subscribe", ids)]
        except BaseException:
            self._memory.remove(ids)
            raise

    async def unsubscribe(self, *ids: str) -> list[Frame]:
        """Stop watching; returns the replies."""
        self._memory.remove(ids)
        return [await self.ask(**one) for one in _each("unsubscribe", ids)]

    async def ask(self, command: str, **fields: Any) -> Frame:
        """Send a command and return its reply; without a connection it waits for the next one.

        Raises:
            CommandError: the sidecar does not take it.
        """
        while True:
            line = await self._connected()
            try:
                return await self._exchange(line, {"command": command, **fields})
            except ConnectionLost:
                if self._line is line:
                    self._line = None

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self

    async def __anext__(self) -> Frame:
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            self._check()
            await self._change()
        event = self._events.popleft()
        self._changed.set()
        return event

    # One connection after another.

    async def _run(self, line: Connection) -> None:
        again = False
        while True:
            closed = await self._serve_connection(line, again=again)
            self._line = None
            line = await self._reconnect(closed)
            again = True

    async def _serve_connection(self, line: Connection, *, again: bool) -> Closed:
        """Use a connection until it ends."""
        reading = asyncio.create_task(line.read(self._take))
        try:
            with contextlib.suppress(ConnectionLost):
                await self._handshake(line, again=again)
            return await reading
        finally:
            reading.cancel()
            await line.close()

    async def _handshake(self, line: Connection, *, again: bool) -> None:
        self._sent_token = self._token() if callable(self._token) else self._token
        if self._sent_token:
            await self._exchange(line, {"command": "authenticate", "token": self._sent_token})
        resuming = map(self._with_resync, self._memory.resume())
        replies = [await self._exchange(line, one) for one in resuming]
        self.welcome, self._line = line.welcome, line
        self._backoff.reset()
        self._changed.set()
        # What began and ended meanwhile nobody can ask for, where everything is watched.
        known = not (again and EVERYTHING in self._memory.subscribed)
        self._notify(Connected(again, known and all(map(_recovered, replies))))

    def _with_resync(self, command: Frame) -> Frame:
        """The command, with what this client wants of every subscription."""
        if self._resync and command["command"] == "subscribe":
            return {**command, "resync": True}
        return command

    async def _reconnect(self, closed: Closed) -> Connection:
        """Wait and connect, until it succeeds."""
        delay = self._delay(closed)
        while True:
            self._notify(Lost(*closed, delay))
            await asyncio.sleep(delay)
            try:
                return await open_connection(self.url)
            except NoConnection as exc:
                # Who is told the same time should not come at the same time.
                closed = Closed(LOST, exc.why)
                delay = (exc.retry_in or 0.0) + self._backoff.next()

    def _delay(self, closed: Closed) -> float:
        """Seconds to wait after a connection ended.

        Raises:
            NoConnection: it must not be opened again.
        """
        code, reason = closed
        if is_final(code) or (code == TOKEN_EXPIRED and not self._has_new_token()):
            raise NoConnection(masked(self.url), reason or "the connection was closed", code)
        asked = restart_delay(code, reason)
        return self._backoff.next() if asked is None else asked

    def _has_new_token(self) -> bool:
        return callable(self._token) and self._token() != self._sent_token

    def _notify(self, change: Change) -> None:
        if self._on_change is not None:
            self._on_change(change)

    # Between the connection and its user.

    async def _take(self, event: Frame) -> None:
        if not self._memory.accept(event):
            return
        # Who waits for a reply may be the one who takes the events: then it must be read.
        while len(self._events) >= MAX_WAITING and not self._asking:
            await self._change()
        self._events.append(event)
        self._changed.set()

    async def _exchange(self, line: Connection, command: Frame) -> Frame:
        self._asking += 1
        self._changed.set()
        try:
            return await line.ask(command)
        finally:
            self._asking -= 1

    async def _connected(self) -> Connection:
        while self._line is None:
            self._check()
            await self._change()
        return self._line

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    async def _change(self) -> None:
        """Wait until something is different: an event, room for one, a connection, its end."""
        self._changed.clear()
        await self._changed.wait()

    def _end(self, running: asyncio.Task[None]) -> None:
        closed = NoConnection(masked(self.url), "the client was closed")
        self._failure = closed if running.cancelled() else running.exception()
        self._line = None
        self._changed.set()


def _recovered(reply: Frame) -> bool:
    """Whether a reply to ``subscribe`` says that nothing was missed."""
    return all(reply.get("recovered", {}).values())


def _each(command: str, ids: tuple[str, ...]) -> list[Frame]:
    """The commands for these ids: one alone is said as every sidecar knows it."""
    single = [one for one in ids if one == EVERYTHING or len(ids) == 1]
    several = [one for one in ids if one not in single]
    return [
        *({"command": command, "operation_id": one} for one in single),
        *({"command": command, "operation_ids": some} for some in chunks(several)),
    ]
