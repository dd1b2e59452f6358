"""One delivered event of an operation as its history holds it, and which kind of event it is.

Pure.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from celery_wsprogress.protocol.event_ids import position_of_frame
from celery_wsprogress.protocol.events import (
    Chunk,
    Completed,
    Error,
    Event,
    Log,
    Progress,
    Result,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery_wsprogress.protocol.event_ids import LogPosition

ENTRY_OVERHEAD: Final = 150
"""Bytes of an entry besides its frame, measured on CPython 3.11."""


class Kind(IntEnum):
    """The kind of an event: it decides whether the event is replaced or kept."""

    PROGRESS = 0
    STATUS = 1
    OTHER = 2
    """A log line or a result."""
    TERMINAL = 3
    CHUNK = 4


KINDS: Final[Mapping[type[Event], Kind]] = {
    Progress: Kind.PROGRESS,
    Status: Kind.STATUS,
    Log: Kind.OTHER,
    Chunk: Kind.CHUNK,
    Result: Kind.OTHER,
    Completed: Kind.TERMINAL,
    Error: Kind.TERMINAL,
}


class Entry(Struct, eq=False, gc=False):
    """One delivered event."""

    seq: int
    """Number of the event among the delivered events of the operation."""
    epoch_number: int
    """Number of its epoch of the log."""
    kind: Kind
    run: str
    frame: bytes
    """The WebSocket frame, as :func:`~celery_wsprogress.protocol.frames.text_frame` makes it."""

    @property
    def position(self) -> LogPosition:
        """The position in the log. It is rarely needed, so it is decoded from the frame."""
        return position_of_frame(self.frame, self.epoch_number)

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return len(self.frame) + ENTRY_OVERHEAD
