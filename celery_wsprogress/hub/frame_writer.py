"""The interface through which a session writes to its socket.

:class:`~celery_wsprogress.hub.session.Session` calls it; the sidecar's socket writer implements it.

Pure.
"""

from __future__ import annotations

from typing import Final, Protocol


class FrameWriter(Protocol):
    """A writer of WebSocket frames. Runs in: the event loop."""

    @property
    def ready(self) -> bool:
        """Whether the socket accepts a write now."""

    def write(self, frames: bytes) -> None:
        """Write frames. Never waits."""

    def flush_soon(self) -> None:
        """Schedule a flush of the session, after the other sessions."""

    def flush_at(self, due: float) -> None:
        """Schedule a flush of the session for a time, in seconds of the monotonic clock."""

    def close_too_slow(self) -> None:
        """Close the connection: its client has missed events."""


class NullWriter:
    """A writer for sessions without a socket, which are read with :meth:`.Session.take`."""

    ready = False

    def write(self, frames: bytes) -> None:
        """Never called."""

    def flush_soon(self) -> None:
        """Never called."""

    def flush_at(self, due: float) -> None:
        """Never called."""

    def close_too_slow(self) -> None:
        """Never called."""


NULL_WRITER: Final = NullWriter()
