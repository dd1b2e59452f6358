"""One client that is sent to by a coroutine: what streams and the WebSockets of ASGI share.

:class:`.Connections` serves it, as it serves a :class:`.ProgressConnection`. Its frames are taken
from the writer and sent one by one. Commands are executed one after the other, each step in a turn
of the client (:mod:`celery_wsprogress.sidecar.limits.turn_queue`), and no command begins before the
client has taken the reply to the one before.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celery_wsprogress.access.addresses import address_key
from celery_wsprogress.access.held_grants import NOBODY
from celery_wsprogress.protocol.close_codes import LOST, TOO_SLOW
from celery_wsprogress.protocol.frames import payloads_of
from celery_wsprogress.sidecar.limits.stepped_work import SteppedWork
from celery_wsprogress.sidecar.refusal_log import describe_client
from celery_wsprogress.sidecar.streams.send_writer import SendWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from celery_wsprogress.access.permissions import Permit
    from celery_wsprogress.hub.session import Session
    from celery_wsprogress.hub.steps import Steps
    from celery_wsprogress.sidecar.connections import Connections
    from celery_wsprogress.sidecar.limits.client_limits import ClientLimits
    from celery_wsprogress.sidecar.streams.channel import Receive, Send

CLOSE_TIMEOUT: Final = 3.0
"""Seconds that a client has to take what is sent before the connection ends."""

_END: Final = object()


class Closing(NamedTuple):
    """How this side closes a connection."""

    code: int
    reason: str


class SentConnection(ABC):
    """A client; a :class:`.ClientConnection`.

    Args:
        receive: Of the request; see :class:`.Channel`.
        send: Of the request.
        permit: What the client may do.
        address: The client's address.
        limits: The limits of all clients.
        first_command: The command that the request stands for; None if there is none.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        permit: Permit,
        address: str,
        limits: ClientLimits,
        first_command: Mapping[str, Any] | None,
    ) -> None:
        self.session: Session | None = None
        self.permit = permit
        self.limits = limits
        self.first_command = first_command
        self.writer = SendWriter(self.flush, self._close_too_slow)
        self.own_close: Closing | None = None
        self.their_code = LOST
        """The close code of the client, once it has closed the connection."""
        self._receive = receive
        self._send = send
        self.address = address
        self._budget = limits.new_budget(trusted=not permit.untrusted)
        self._subjects = NOBODY
        self._awaited: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._sent = asyncio.Event()
        """Set whenever what the session wrote was sent."""
        self._ending = asyncio.Event()
        self._closed = asyncio.Event()
        self._on_command: Callable[[str], Steps[None]]

    @property
    def who(self) -> str:
        """The client, for the log."""
        return describe_client(self.address, self._subjects)

    @property
    def first_close_code(self) -> int:
        """The close code of the side that closed first."""
        return self.their_code if self.own_close is None else self.own_close.code

    def drop(self, limit: str) -> None:
        """End it: a limit has been exceeded."""
        self.schedule_close(TOO_SLOW, limit)

    async def serve(self, connections: Connections) -> None:
        """Serve the client from its first frame to its end."""
        serving = asyncio.create_task(connections.serve_client(self))
        # It has a session from here on.
        await asyncio.sleep(0)
        ways = (self.write_all(), self.read_all(), self._ending.wait())
        work = [asyncio.create_task(one) for one in ways]
        try:
            await asyncio.wait([serving, *work], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.writer.close()
            for one in work:
                one.cancel()
            ended = await asyncio.gather(*work, return_exceptions=True)
            if self._closing is not None:
                self._closing.cancel()
            self._closed.set()
            await serving
        for found in ended:
            # A server raises OSError where the client is gone (ASGI 2.4). All else is a defect.
            if isinstance(found, Exception) and not isinstance(found, OSError):
                raise found

    def serve_commands(self, on_command: Callable[[str], Steps[None]]) -> None:
        """Begin to execute commands."""
        self._on_command = on_command

    def hold_subjects(self) -> bool:
        """Count for those who hold its tokens now. Return False if that is one too many."""
        subjects = self.permit.subjects
        self._subjects = subjects or self._subjects
        return self.limits.admission.hold_subjects(self, subjects)

    # Output.

    def flush(self) -> None:
        """Have the session write what is unread, if all before was sent."""
        if self.session is not None:
            self.session.flush(time.monotonic(), time.time())

    async def write_all(self) -> None:
        """Send what the session writes, until it is cancelled."""
        while True:
            for payload in payloads_of(await self.next_frames()):
                await self.send_payload(payload)
                self.writer.note_sent()
            self.writer.finish()
            self.flush()
            self._sent.set()
            await self.after_write()

    async def next_frames(self) -> bytes:
        """Wait for the next frames."""
        return await self.writer.take()

    @abstractmethod
    async def send_payload(self, payload: bytes) -> None:
        """Send the text of a frame."""

    async def after_write(self) -> None:
        """Let others have their turn: nothing may have made it wait."""
        await asyncio.sleep(0)

    @abstractmethod
    async def send_close(self, closing: Closing) -> None:
        """Send that the connection is closed."""

    # Input.

    @abstractmethod
    async def read_all(self) -> None:
        """Receive until the client is gone."""

    async def execute(self, text: str) -> None:
        """Execute a command, and wait until the client has taken the reply."""
        steps = self._on_command(text)
        try:
            while await self._take_step(steps):
                pass
        finally:
            steps.close()
        self.flush()
        while self.session is not None and self.session.replies:
            self._sent.clear()
            await self._sent.wait()

    async def _take_step(self, steps: Steps[None]) -> bool:
        """Take a step in a turn of the client. Return whether there are more."""
        delay = self._budget.delay(time.monotonic())
        if delay:
            await asyncio.sleep(delay)
        work = SteppedWork(_one_of(steps), address_key(self.address), self._budget)
        has_more = await work.run(self.limits.turns)
        awaited, self._awaited = self._awaited, None
        if awaited is not None:
            await awaited
        return has_more

    def wait_for(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Take no further step before a coroutine has ended."""
        self._awaited = asyncio.create_task(coroutine)

    def charge(self, seconds: float) -> None:
        """Charge processor time that was not used."""
        self._budget.charge(seconds, time.monotonic())

    # The end.

    def schedule_close(self, code: int, reason: str) -> None:
        """Begin to close, once. Never waits."""
        if self._closing is None:
            self._closing = asyncio.create_task(self.close_or_abort(code, reason))

    async def close_or_abort(self, code: int, reason: str, *, flush: bool = False) -> None:
        """Close the connection, within :data:`CLOSE_TIMEOUT`; then the server ends it."""
        if not flush:
            self.writer.close()
        # Servers raise RuntimeError for what is sent after the end.
        with contextlib.suppress(TimeoutError, OSError, RuntimeError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._write_unsent()
                self.writer.close()
                self.own_close = Closing(code, reason)
                await self.send_close(self.own_close)
        self.own_close = Closing(code, reason)
        self._ending.set()

    async def _write_unsent(self) -> None:
        await self.writer.wait_idle()
        while self.session is not None and self.session.has_unread and self.writer.ready:
            self.flush()
            await self.writer.wait_idle()
            await asyncio.sleep(0)

    async def wait_closed(self) -> None:
        """Wait until it is closed."""
        await self._closed.wait()

    def _close_too_slow(self) -> None:
        self.schedule_close(TOO_SLOW, "too slow: missed events that are no longer held")


def _one_of(steps: Steps[None]) -> Steps[bool]:
    """Take one step. Return whether there may be more."""
    yield from ()
    return next(steps, _END) is not _END
