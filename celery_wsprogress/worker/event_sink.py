"""What receives the events of a tracker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery_wsprogress.worker.publishing.progress_slot import ProgressSlot
    from celery_wsprogress.worker.publishing.queue_entries import QueueEntry


class EventSink(Protocol):
    """The receiver of a tracker's events: a :class:`.Publisher`, or its substitute in a test."""

    def schedule(self, slot: ProgressSlot) -> None:
        """Send progress when it is due."""

    def emit(self, events: Iterable[QueueEntry], *, after: ProgressSlot | None = None) -> None:
        """Send events, in this order, after the value of a slot if one waits.

        They are iterated under the lock: what a generator does is one step with their queueing.
        """
