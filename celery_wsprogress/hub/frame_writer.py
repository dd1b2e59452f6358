"""The interface through which a session writes to its socket.

:class:`~celery_wsprogress.hub.session.Session` calls it; the sidecar's socket writer implements it.

Pure.
"""

from __future__ import annotations

from typing import Final, Protocol


class FrameWriter(Protocol):
    """What a session writes to."""

    @property
    def ready(self) -> bool:
        """Whether the socket can be written to now."""

    def write(self, frames: bytes) -> None:
        """Write frames. Never waits."""

    def flush_soon(self) -> None:
        """Schedule a flush of the session, after the other sessions."""

    def flush_at(self, due: float) -> None:
        """Schedule a flush of the session, at a time of the monotonic clock, in seconds."""

    def close_too_slow(self) -> None:
        """Close the connection: its client has missed events."""


class NullWriter:
    """A writer for sessions that are read with :meth:`.Session.take` instead."""

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
