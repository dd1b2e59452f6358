"""What :class:`.Connections` needs of a connection, whatever carries it.

:class:`.ProgressConnection` is one of websockets. :class:`.EventStream` is a stream of server-sent
events. The ASGI application has WebSockets of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from celery_wsprogress.hub.frame_writer import FrameWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from celery_wsprogress.access.permissions import Permit
    from celery_wsprogress.hub.session import Session
    from celery_wsprogress.hub.steps import Steps
    from celery_wsprogress.sidecar.limits.client_limits import ClientLimits


class CountingWriter(FrameWriter, Protocol):
    """A writer that counts what it wrote."""

    @property
    def sent_bytes(self) -> int:
        """Bytes of all writes."""

    @property
    def sent_writes(self) -> int:
        """Number of writes."""

    def is_stalled(self, timeout: float) -> bool:
        """Return whether the client has taken nothing of what was sent for ``timeout`` seconds."""


class Ending(Protocol):
    """How a side has closed a connection."""

    @property
    def code(self) -> int:
        """The close code."""

    @property
    def reason(self) -> str:
        """A text."""


class ClientConnection(Protocol):
    """A connection of a client. Runs in: the event loop."""

    session: Session | None
    """None until it is served."""

    address: str
    """The client's address; empty where it is not known."""

    @property
    def permit(self) -> Permit:
        """What the client may do."""

    @property
    def writer(self) -> CountingWriter:
        """Writes the frames of the session."""

    @property
    def limits(self) -> ClientLimits:
        """The limits of all clients."""

    @property
    def who(self) -> str:
        """The client, for the log."""

    @property
    def first_command(self) -> Mapping[str, Any] | None:
        """The command that the request itself stands for; None if there is none."""

    @property
    def first_close_code(self) -> int:
        """The close code of the side that closed first."""

    @property
    def own_close(self) -> Ending | None:
        """How this side has closed it, if it was the first to do so."""

    def flush(self) -> None:
        """Write what is unread in the session, as far as the client takes it. Never waits."""

    def serve_commands(self, on_command: Callable[[str], Steps[None]]) -> None:
        """Begin to execute the commands of the client; there is a session now."""

    def wait_for(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Take no further step of the command before a coroutine has ended."""

    def charge(self, seconds: float) -> None:
        """Charge processor time to the connection that it has not used."""

    def hold_subjects(self) -> bool:
        """Count for those who hold its tokens now. Return False if that is one too many."""

    def schedule_close(self, code: int, reason: str) -> None:
        """Begin to close, once. Never waits."""

    async def close_or_abort(self, code: int, reason: str, *, flush: bool = False) -> None:
        """Close it, with what is unsent before; end it if the client does not take that."""

    async def wait_closed(self) -> None:
        """Wait until it is closed."""
