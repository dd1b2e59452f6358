"""The entries of a process's queue (:mod:`.queue`), and the order in which they are dropped."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final, TypeAlias

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


LAZY_BYTES: Final = 600
"""Bytes for which an event of the life cycle counts until it is encoded."""


class LazyEvent(Struct, frozen=True, gc=False):
    """An event that the flusher encodes when it is sent.

    One of the life cycle: many at a time, with a warm cache, cost a fraction of what each would
    cost its task. Or a chunk of a stream, which grows until then.
    """

    encode: Callable[[], EncodedEvent]
    priority: Priority = Priority.LIFECYCLE
    size: int = LAZY_BYTES
    """Bytes for which it counts."""
    run: RunInfo | None = None
    """Its run, if it counts as dropped when it is."""
    drop: Callable[[], object] | None = None
    """Called when it is dropped, and in a forked child, which has a copy of it."""
    waits: bool = False
    """Whether it waits a little for more, unless other events are sent."""


QueueEntry: TypeAlias = EncodedEvent | LazyEvent
"""An entry of the queue."""
