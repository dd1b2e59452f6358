"""The entries of a process's queue (:mod:`.queue`), and the order in which they are dropped."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

from msgspec import Struct

from celery_wsprogress.worker.run_info import RunInfo


class Priority(IntEnum):
    """The priority of an event. When the queue is full, the lowest are dropped first."""

    PROGRESS = 0
    """Progress sent before a status of its run; more follows."""
    LOG = 1
    STATUS = 2
    """A status or metadata that the task has set."""
    RESULT = 3
    """The result, and the last progress before the end."""
    LIFECYCLE = 4
    """The statuses of the life cycle, and the end."""


class EncodedEvent(Struct, frozen=True, gc=False):
    """An event as JSON."""

    priority: Priority
    event: bytes
    run: RunInfo


class LazyEvent(Struct, frozen=True, gc=False):
    """An event of the life cycle that the flusher encodes when it is sent.

    Many at a time, with a warm cache, cost a fraction of what each would cost its task.
    """

    encode: Callable[[], EncodedEvent]


QueueEntry: TypeAlias = EncodedEvent | LazyEvent
"""An entry of the queue."""
