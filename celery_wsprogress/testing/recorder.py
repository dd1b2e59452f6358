"""The publisher of a test: it keeps events instead of writing them. It has no thread."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from celery_wsprogress.settings import WorkerSettings
from celery_wsprogress.testing.recorded import DIRECT, Recorded
from celery_wsprogress.worker import apps, context
from celery_wsprogress.worker.publishing.publisher import Publisher
from celery_wsprogress.worker.publishing.queue_entries import LazyEvent
from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from celery_wsprogress.worker.publishing.lookups import Lookup
    from celery_wsprogress.worker.publishing.progress_slot import ProgressSlot
    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent, QueueEntry


class RecordingPublisher(Publisher):
    """A publisher that records, in the thread that reports.

    Args:
        recorded: Gets the events.
    """

    def __init__(self, recorded: Recorded) -> None:
        super().__init__(_never_connects, "memory", WorkerSettings(), trusted=True)
        self._recorded = recorded
        self._recording = threading.RLock()

    def schedule(self, slot: ProgressSlot) -> None:
        """Record the progress of a slot, which stays unscheduled: so each value comes here."""
        with self._recording:
            self._record(slot.take())

    def emit(self, events: Iterable[QueueEntry], *, after: ProgressSlot | None = None) -> None:
        """Record events."""
        with self._recording:
            if after is not None:
                self._record(after.take())
            for event in events:
                self._record(event.encode() if isinstance(event, LazyEvent) else event)

    def look_up(self, lookup: Lookup, *, after: ProgressSlot | None = None) -> None:
        """Record the answer to a lookup, which is made at once."""
        try:
            answer = lookup.fetch()
        except Exception:  # noqa: BLE001 - whatever the backend raises
            answer = lookup.fallback()
        self.emit(answer, after=after)

    def _record(self, event: EncodedEvent | None) -> None:
        if event is not None:
            self._recorded.add(json.loads(event.event))


def _never_connects() -> Any:
    raise AssertionError("a recorder writes nothing")


@contextmanager
def recorder() -> Iterator[Recorded]:
    """Record what tasks of all apps report, in this process."""
    recorded = Recorded()
    publisher = RecordingPublisher(recorded)
    # A task that is called as a function reports for the enclosing run: this one.
    enclosing = Tracker(RunInfo(DIRECT, DIRECT), publisher)
    before = context.current_tracker.get()
    context.current_tracker.set(enclosing)
    try:
        with apps.substituted_publisher(publisher):
            yield recorded
    finally:
        context.current_tracker.set(before)
