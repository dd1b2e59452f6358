"""One WebSocket connection of the sidecar.

websockets creates a :class:`ProgressConnection` for each handshake; :mod:`.connections` gives it a
session. What the client sends goes through a :class:`.ClientInput`, which has it processed in fair
turns: websockets itself would parse all bytes of a read at once, and hold what it parsed.

A session has encoded frames that all clients share, so one client costs one write. websockets would
encode each frame for each client, because extensions may differ; here none is ever negotiated
(``compression=None``), so a :class:`.SocketWriter` writes the bytes to the socket. The overridden
methods are the callbacks of :class:`asyncio.Protocol`.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING, Any, Final, cast

from websockets.frames import DATA_OPCODES, CloseCode, Frame
from websockets.protocol import State

from celery_wsprogress.access.addresses import address_key
from celery_wsprogress.access.held_grants import NOBODY
from celery_wsprogress.protocol.close_codes import TOO_SLOW
from celery_wsprogress.sidecar.buffered_reader import BufferedReader
from celery_wsprogress.sidecar.client_input import ClientInput
from celery_wsprogress.sidecar.closable_connection import ClosableConnection
from celery_wsprogress.sidecar.http.handshake import operation_id_in_path
from celery_wsprogress.sidecar.http.request_head import RequestHead
from celery_wsprogress.sidecar.limits.admission import REASONS
from celery_wsprogress.sidecar.refusal_log import describe_client
from celery_wsprogress.sidecar.socket_writer import SocketWriter, TLSWriter
from celery_wsprogress.sidecar.sockets import peer_host
from celery_wsprogress.sidecar.tls.transport import TLSTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from celery_wsprogress.access.permissions import Permit
    from celery_wsprogress.hub.session import Session
    from celery_wsprogress.hub.steps import Steps
    from celery_wsprogress.sidecar.limits.client_limits import ClientLimits
    from celery_wsprogress.sidecar.tls.certificate import ServerCertificate

MIN_PING_FACTOR: Final = 0.75
"""The shortest ping interval, as a part of the heartbeat. Each connection has a random interval,
so that connections which were opened together are not pinged together."""


class ProgressConnection(ClosableConnection):
    """A WebSocket connection that writes the frames of its session.

    Args:
        limits: The limits of all clients.
        certificate: With which the port speaks TLS; None where it does not.
    """

    def __init__(
        self,
        *args: Any,
        limits: ClientLimits,
        certificate: ServerCertificate | None = None,
        ping_interval: float | None = None,
        **options: Any,
    ) -> None:
        if ping_interval is not None:
            ping_interval *= random.uniform(MIN_PING_FACTOR, 1.0)  # noqa: S311
        super().__init__(*args, ping_interval=ping_interval, **options)
        self.writer: SocketWriter
        """Set by :meth:`connection_made`."""
        self.permit: Permit
        """Set before the handshake is answered."""
        self.session: Session | None = None
        """None until the handshake is done."""
        self.input: ClientInput
        """Set by :meth:`connection_made`."""
        self.limits = limits
        self._certificate = certificate
        self.address = ""
        """The address of the client. Behind a listed proxy, that of the proxy at first."""
        self._subjects = NOBODY
        self._on_command: Callable[[str], Steps[None]]
        self._reading = True
        self._opened_at = 0
        """Number of full collections before it was opened."""
        self._head = RequestHead(self.protocol)

    @property
    def who(self) -> str:
        """The client, for the log."""
        return describe_client(self.address, self._subjects)

    @property
    def first_command(self) -> Mapping[str, Any] | None:
        """The subscription that the path asks for; None if there is none."""
        operation_id = operation_id_in_path(self.request.path if self.request else "")
        if not operation_id:
            return None
        return {"command": "subscribe", "operation_id": operation_id}

    def hold_subjects(self) -> bool:
        """Count for those who hold its tokens now. Return False if that is one too many."""
        subjects = self.permit.subjects
        # Those before are still named if the connection is closed now, for want of a token.
        self._subjects = subjects or self._subjects
        return self.limits.admission.hold_subjects(self, subjects)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Create the writer, as there is a socket now."""
        # The transport of a TCP socket both reads and writes, with asyncio and with uvloop.
        socket, writer = cast("asyncio.Transport", transport), SocketWriter
        self.address = peer_host(transport)
        if self._certificate is not None:
            context, buffer = self._certificate.context, self.limits.read_buffer
            socket, writer = TLSTransport(socket, context, buffer, self._refuse_tls), TLSWriter
        super().connection_made(socket)
        self.writer = writer(socket, self.flush, self.flush_in_turn, self._close_too_slow)
        limits, address = self.limits, address_key(self.address)
        self.input = ClientInput(self, address, limits.new_budget(), limits.memory)
        socket.set_protocol(BufferedReader(self, limits.read_buffer))
        limits.admission.begin(self, address, time.monotonic())
        self._opened_at = limits.collections.count

    # Input, in turns.

    def data_received(self, data: bytes) -> None:
        """Have what the client sent processed in its turn."""
        self.input.add(data)
        self._take_turns()

    def _take_turns(self) -> None:
        if self.input.has_work:
            self.limits.turns.add(self.input)

    @property
    def is_closing(self) -> bool:
        """Whether one side has begun to close."""
        return self.protocol.state > State.OPEN or self.protocol.close_expected()

    @property
    def may_parse(self) -> bool:
        """Whether bytes may be parsed: not between a request and the end of its handshake."""
        return self.request is None or self.session is not None or self.is_closing

    @property
    def is_paused(self) -> bool:
        """Whether the client does not take what was written to it."""
        return self.paused

    @property
    def owes_replies(self) -> bool:
        """Whether replies are unsent, or no command can be executed yet."""
        return self.session is None or bool(self.session.replies)

    @property
    def unparsed_bytes(self) -> int:
        """Bytes of an unfinished frame."""
        return len(self.protocol.reader.buffer)

    def parse(self, data: bytes) -> None:
        """Have websockets parse bytes of the client."""
        if self.request is None and not self.is_closing and self._head.is_too_large(len(data)):
            self._refuse_head("head")
            self.send_data()
        super().data_received(data)
        if self.request is None and (limit := self._head.refused_as()) is not None:
            self._refuse_head(limit)
        if self.is_closing:
            # No frame may follow the close frame.
            self.writer.close()

    def _refuse_head(self, limit: str) -> None:
        self.limits.admission.refused[limit] += 1
        self._log_refusal(limit)

    def _refuse_tls(self, reason: str) -> None:
        self.limits.admission.refused["tls"] += 1
        text = f"Refused a TLS handshake from {self.who}: {reason}"
        self.limits.log.write("tls", text, client=self.address)

    def _log_refusal(self, limit: str) -> None:
        text = f"Refused a request from {self.who}: {REASONS[limit]}"
        self.limits.log.write(limit, text, client=self.address)

    def drop(self, limit: str) -> None:
        """Close it at once: its request is not finished, and may not be."""
        self._log_refusal(limit)
        self.abort()

    def process_event(self, event: Any) -> None:
        """Take a request, or a frame; the frames of commands go to the input."""
        if isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            self.input.add_frame(event)
            return
        super().process_event(event)
        if self.request is event:
            self.limits.admission.end_head(self)

    def execute(self, message: str) -> Steps[None]:
        """Execute a command."""
        return self._on_command(message)

    def serve_commands(self, on_command: Callable[[str], Steps[None]]) -> None:
        """Begin to execute the commands of the client; there is a session now."""
        self._on_command = on_command
        self._take_turns()

    def wait_for(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Take no turn before a coroutine has ended."""
        task = self.loop.create_task(coroutine)
        self.input.is_waiting = True
        task.add_done_callback(self._end_wait)

    def _end_wait(self, _task: asyncio.Task[None]) -> None:
        self.input.is_waiting = False
        self._take_turns()

    def set_reading(self, reading: bool, /) -> None:
        """Read the socket, or let it wait."""
        if reading is not self._reading and not self.transport.is_closing():
            self._reading = reading
            if reading:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def refuse(self, code: int, reason: str) -> None:
        """Begin to close the connection because of what the client has sent."""
        self.schedule_close(code, reason)

    def charge(self, seconds: float) -> None:
        """Charge processor time to the connection that it has not used, and not to its address."""
        self.input.budget.charge(seconds, time.monotonic())

    def eof_received(self) -> None:
        """Stop writing: after the end of file websockets closes the socket."""
        self.input.end()
        self.writer.close()
        super().eof_received()

    # Output.

    def pause_writing(self) -> None:
        """Stop writing, as the socket's buffer is full."""
        super().pause_writing()
        self.writer.pause()

    def resume_writing(self) -> None:
        """Write what has come meanwhile, as the socket's buffer is empty again."""
        super().resume_writing()
        self.writer.resume()
        self.input.resume()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop writing, as the socket is closed."""
        super().connection_lost(exc)
        self.writer.close()
        self.input.clear()
        self.limits.admission.end(self)
        self.limits.collections.note_closed(self._opened_at)

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the WebSocket. No frame may follow the close frame, so writing stops first."""
        self.writer.close()
        await super().close(code, reason)

    def flush(self) -> None:
        """Write what is unread in the session, as far as the socket takes it. Never waits."""
        if self.session is not None:
            self.session.flush(time.monotonic(), time.time())
            # The client may have taken the replies that its next command waits for.
            self._take_turns()

    def flush_in_turn(self) -> None:
        """Go on with a long flush in a turn of the client, since it is the client that is far."""
        self.input.wants_flush = True
        self._take_turns()

    async def write_unsent(self) -> None:
        """Write what is unsent for the client, as it takes it."""
        session = self.session
        while session is not None and session.has_unread and self.state is State.OPEN:
            await self._drain_some()

    async def _drain_some(self) -> None:
        # If the socket is closed, the caller's loop ends by the state.
        with contextlib.suppress(OSError):
            await self.drain()
        self.flush()
        await asyncio.sleep(0)

    def _close_too_slow(self) -> None:
        self.schedule_close(TOO_SLOW, "too slow: missed events that are no longer held")
