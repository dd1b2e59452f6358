"""What waits in the queue of a process, and what of it is dropped first when that is full."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

from msgspec import Struct

from celery_wsprogress.worker.run_info import RunInfo


class Priority(IntEnum):
    """Which events are dropped first when the queue is full: those with the lowest priority."""

    PROGRESS = 0
    """A progress that had to be sent before a status of its run. Another one follows."""
    LOG = 1
    STATUS = 2
    """A status or metadata that the task has set."""
    RESULT = 3
    """The result, and the last progress before the end."""
    LIFECYCLE = 4
    """The statuses of the life cycle, and the end."""


class EncodedEvent(Struct, frozen=True, gc=False):
    """An event as JSON, on its way to the log."""

    priority: Priority
    event: bytes
    run: RunInfo


class LazyEvent(Struct, frozen=True, gc=False):
    """An event of the life cycle that is encoded when it is sent.

    The flusher encodes many at a time, which costs a fraction of what each would cost its task in
    the middle of other work.
    """

    encode: Callable[[], EncodedEvent]


QueueEntry: TypeAlias = EncodedEvent | LazyEvent
"""What the queue keeps in order."""
