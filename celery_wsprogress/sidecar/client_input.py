"""The input of one client: its bytes and its commands, processed in turns.

:class:`.ProgressConnection` adds what the socket received (:meth:`ClientInput.add`) and the frames
that websockets parses of it (:meth:`ClientInput.add_frame`). The turn queue calls
:meth:`ClientInput.take_turn`. A turn parses a slice of bytes or takes one step of a command. No
command begins before the client has taken the replies to those before. While something waits, the
socket is not read, so the client's own buffer fills.

Runs in: the event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from websockets.frames import CloseCode, Opcode

from celery_wsprogress.protocol.close_codes import TRY_AGAIN_LATER, UNREADABLE, UNSUPPORTED

if TYPE_CHECKING:
    from websockets.frames import Frame

    from celery_wsprogress.hub.steps import Steps
    from celery_wsprogress.sidecar.limits.budget import Budget
    from celery_wsprogress.sidecar.limits.input_memory import InputMemory

SLICE_BYTES: Final = 512
"""Bytes that are parsed in one turn: with the smallest frames, a millisecond."""

MAX_UNPARSED_BYTES: Final = 4_096
"""Unparsed bytes above which the socket is not read."""

MAX_MESSAGES: Final = 4
"""Messages above which nothing more is parsed."""

MAX_FRAGMENTS: Final = 1_024
"""Maximum number of frames of a message."""

MAX_BYTES_WHILE_PAUSED: Final = 4_096
"""Bytes that are parsed while the client takes nothing: it still answers pings and closes, and
its own pings cannot fill the memory with pongs."""


class InputHandler(Protocol):
    """The connection of the client."""

    @property
    def is_closing(self) -> bool:
        """Whether one side has begun to close."""

    @property
    def may_parse(self) -> bool:
        """Whether bytes may be parsed: not between a request and the end of its handshake."""

    @property
    def is_paused(self) -> bool:
        """Whether the client does not take what was written to it."""

    @property
    def owes_replies(self) -> bool:
        """Whether replies are unsent, or no command can be executed yet."""

    @property
    def unparsed_bytes(self) -> int:
        """Bytes of an unfinished frame."""

    def parse(self, data: bytes) -> None:
        """Parse bytes of the client."""

    def execute(self, message: str) -> Steps[None]:
        """Execute a command."""

    def flush(self) -> None:
        """Write what is unread in the session."""

    def set_reading(self, reading: bool, /) -> None:
        """Read the socket, or let it wait."""

    def refuse(self, code: int, reason: str) -> None:
        """Close the connection."""

    def abort(self) -> None:
        """Close the connection at once."""


class ClientInput:
    """What a client has sent and what is not processed yet.

    Args:
        handler: The connection of the client.
        address: The key of the client's address.
        budget: What the client may use.
        memory: Counts what is held for all clients.
    """

    __slots__ = (
        "_bytes",
        "_fragments",
        "_handler",
        "_held",
        "_is_over",
        "_is_text",
        "_memory",
        "_message_bytes",
        "_messages",
        "_parsed_while_paused",
        "_steps",
        "address",
        "budget",
        "is_waiting",
        "wants_flush",
    )

    def __init__(
        self, handler: InputHandler, address: str, budget: Budget, memory: InputMemory
    ) -> None:
        self.address = address
        self.budget = budget
        self.wants_flush = False
        """Whether a long replay goes on in the next turn."""
        self.is_waiting = False
        """Whether the command that is executed waits for something."""
        self._handler = handler
        self._memory = memory
        self._held = 0
        self._bytes = bytearray()
        self._fragments: list[bytes | bytearray | memoryview] = []
        self._is_text = True
        self._messages: list[str] = []
        self._message_bytes = 0
        self._steps: Steps[None] | None = None
        self._parsed_while_paused = 0
        self._is_over = False

    @property
    def has_work(self) -> bool:
        """Whether a turn would do something now."""
        return self.wants_flush or self._has_command or self._has_bytes

    @property
    def _has_command(self) -> bool:
        if self._steps is not None:
            return not self.is_waiting
        # Also while events are unsent: a client on a slow line always has some of those.
        return bool(self._messages) and not self._handler.owes_replies

    @property
    def _has_bytes(self) -> bool:
        if not self._bytes or len(self._messages) >= MAX_MESSAGES or not self._handler.may_parse:
            return False
        return not self._handler.is_paused or self._parsed_while_paused < MAX_BYTES_WHILE_PAUSED

    def add(self, data: bytes) -> None:
        """Add what the socket received."""
        self._bytes += data
        self._count()

    def add_frame(self, frame: Frame) -> None:
        """Add a data frame; the last one of a message completes a command."""
        handler = self._handler
        if handler.is_closing:
            return
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        self._fragments.append(frame.data)
        if not self._is_text:
            handler.refuse(UNSUPPORTED, "frames are JSON text")
        elif len(self._fragments) > MAX_FRAGMENTS:
            handler.refuse(CloseCode.MESSAGE_TOO_BIG, f"over {MAX_FRAGMENTS} frames")
        elif frame.fin:
            self._add_message()

    def _add_message(self) -> None:
        data = b"".join(self._fragments)
        self._fragments.clear()
        try:
            self._messages.append(data.decode())
        except UnicodeDecodeError as exc:
            self._handler.refuse(UNREADABLE, f"{exc.reason} at position {exc.start}")
        else:
            self._message_bytes += len(data)

    def take_turn(self) -> bool:
        """Do the next thing; see the module. Return whether there is more to do now."""
        if self._is_over:
            # The connection was closed while this turn waited: nothing may be counted again.
            return False
        if self.wants_flush:
            self.wants_flush = False
            self._handler.flush()
        elif self._handler.is_closing:
            self._drop_commands()
            if self._bytes:
                self._parse_slice()
        elif self._has_command:
            self._take_step()
        elif self._has_bytes:
            self._parse_slice()
        self._count()
        return self.has_work

    def _take_step(self) -> None:
        if self._steps is None:
            message = self._messages.pop(0)
            self._message_bytes = 0 if not self._messages else self._message_bytes - len(message)
            self._steps = self._handler.execute(message)
        try:
            next(self._steps)
        except StopIteration:
            self._steps = None
            self._handler.flush()

    def _parse_slice(self) -> None:
        some = bytes(self._bytes[:SLICE_BYTES])
        del self._bytes[:SLICE_BYTES]
        if self._handler.is_paused:
            self._parsed_while_paused += len(some)
        self._handler.parse(some)

    def resume(self) -> None:
        """Record that the client takes what is written to it."""
        self._parsed_while_paused = 0

    def end(self) -> None:
        """Parse what came last, of a client that sends nothing more: it may be a close frame."""
        if self._bytes and self._handler.may_parse:
            self._parse_slice()
        self._bytes.clear()

    def clear(self) -> None:
        """Drop everything, as the connection is closed."""
        self._drop_commands()
        self._bytes.clear()
        self._fragments.clear()
        self.wants_flush = False
        self._memory.change(self._held, 0)
        self._held = 0
        self._is_over = True

    def _drop_commands(self) -> None:
        if self._steps is not None:
            self._steps.close()
            self._steps = None
        self._messages.clear()
        self._message_bytes = 0

    def _count(self) -> None:
        """Count what is held, and let the socket wait while there is much of it."""
        handler = self._handler
        unfinished = sum(map(len, self._fragments)) if self._fragments else 0
        held = len(self._bytes) + unfinished + self._message_bytes + handler.unparsed_bytes
        allowed = self._memory.change(self._held, held)
        self._held = held
        if not allowed and not handler.is_closing:
            handler.refuse(TRY_AGAIN_LATER, "too many large messages at once")
        handler.set_reading(len(self._bytes) <= MAX_UNPARSED_BYTES)

    def fail(self) -> None:
        """Close the connection: its input could not be processed."""
        self._handler.abort()
