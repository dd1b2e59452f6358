"""What a run reports, without a broker: every value that a tracker would send, decoded."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from celery_wsprogress.worker import context
from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Iterator


class Heard:
    """Receives the events of a tracker.

    Args:
        waits: Whether a value waits until it is fetched, as in a worker; else it is taken at once.
    """

    def __init__(self, *, waits: bool = False) -> None:
        self._waits = waits
        self._lock = threading.Lock()
        self.scheduled = 0
        self.progress: list[dict[str, Any]] = []
        self.others: list[dict[str, Any]] = []

    def schedule(self, slot: Any) -> None:
        """Take a value, or let it wait."""
        self.scheduled += 1
        slot.due = 0.0
        if not self._waits:
            self.fetch(slot)

    def fetch(self, slot: Any) -> None:
        """Take the value that waits."""
        with self._lock:
            slot.due = None
            event = slot.take()
            if event is not None:
                self.progress.append(msgspec.json.decode(event.event)["data"])

    def emit(self, events: Any, *, after: Any = None) -> None:
        """Take other events."""
        if after is not None:
            self.fetch(after)
        self.others += [msgspec.json.decode(one.event) for one in events]

    @property
    def fractions(self) -> list[float]:
        """The progress of each value."""
        return [one["progress"] for one in self.progress]

    @property
    def last(self) -> dict[str, Any]:
        """The newest value."""
        return self.progress[-1]


@contextmanager
def running(*, waits: bool = False) -> Iterator[tuple[Tracker, Heard]]:
    """Be in a run; give its tracker, and what is heard of it."""
    heard = Heard(waits=waits)
    tracker = Tracker(RunInfo("op", "tasks.demo", "r"), heard)
    context.enter(tracker)
    try:
        yield tracker, heard
    finally:
        context.leave(tracker)
