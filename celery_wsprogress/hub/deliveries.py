"""What is due to be delivered: the new entries of the histories, and the progress held back.

The hub adds events that were folded; :meth:`Deliveries.take` returns the sessions that get them.
Progress above the rate limit waits (:mod:`.rate_limit`), and is added when it is due, or before the
next event of another kind.

Pure: times are passed in. Runs in: the event loop.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from celery_wsprogress.hub.rate_limit import ProgressRateLimiter
from celery_wsprogress.operations.history_entry import KINDS, Entry
from celery_wsprogress.protocol.events import Event
from celery_wsprogress.protocol.frames import text_frame
from celery_wsprogress.protocol.messages import encode_event_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.hub.operation_record import OperationRecord
    from celery_wsprogress.hub.session import Session
    from celery_wsprogress.hub.store import OperationStore
    from celery_wsprogress.hub.subscription_index import SubscriptionIndex
    from celery_wsprogress.operations.history import History


class Delivery(NamedTuple):
    """New entries of one operation, and the sessions that get them."""

    record: OperationRecord
    cursor: int
    """``seq`` of the last entry before the new ones."""
    sessions: tuple[Session, ...]
    since: float | None
    """Epoch seconds of the first new event; None if the rate limit held it back."""


class DueProgress(Struct, gc=False):
    """A progress that waits until the interval is over, or that is due."""

    event: Event
    event_id: str
    epoch_number: int


class Deliveries:
    """The deliveries that are due.

    Args:
        store: The operations.
        index: Who is subscribed to them.
        progress_interval: Minimum seconds between two progress events of one operation.
        make_progress: Makes the progress of a workflow; None if there is none any more.
    """

    def __init__(
        self,
        store: OperationStore,
        index: SubscriptionIndex,
        progress_interval: float,
        make_progress: Callable[[OperationRecord], DueProgress | None],
    ) -> None:
        self._store = store
        self._index = index
        self._interval = progress_interval
        self._make_progress = make_progress
        # Of a workflow its record is held back: its progress is made when it is sent.
        self._limiter: ProgressRateLimiter[OperationRecord, DueProgress | OperationRecord]
        self._limiter = ProgressRateLimiter(progress_interval)
        self._unsent: dict[OperationRecord, tuple[int, float | None]] = {}
        """``cursor`` and ``since`` of the :class:`Delivery` that is due, by operation."""
        self.appended: Counter[type[Event]] = Counter()
        """Numbers of events that were appended until the last delivery, by type."""
        self._types: list[type[Event]] = []
        """The types of those that were appended since: to count many at a time costs less."""
        self.to_sessions = 0
        """Number of deliveries to sessions: each once for each session."""
        self.conflated = 0
        """Number of progress events that a newer one replaced before they were appended."""
        self._joined: list[History] = []
        """The histories of the last deliveries: their frames may be joined for several
        sessions."""

    @property
    def next_due(self) -> float | None:
        """Monotonic time at which to call :meth:`add_due`; None if nothing is held back."""
        return self._limiter.next_due

    def add(self, record: OperationRecord, event: Event, event_id: str, epoch_number: int) -> None:
        """Encode an event and append it to the history of its operation."""
        newest = record.history.newest
        kind = type(event)
        self._types.append(kind)
        self._unsent.setdefault(record, (newest, event.timestamp))
        frame = text_frame(encode_event_frame(event, event_id))
        # All entries of a run share one `str`, to save memory.
        current = record.operation.runs.current
        run = current.id if current is not None and current.id == event.run else event.run
        entry = Entry(newest + 1, epoch_number, KINDS[kind], run, frame)
        self._store.append(record, entry)

    def add_progress(
        self, record: OperationRecord, event: Event, event_id: str, epoch_number: int, now: float
    ) -> None:
        """Add progress, now or later; then a newer one may take its place."""
        if self._limiter.try_send(record, self._interval, now):
            self.add(record, event, event_id, epoch_number)
        else:
            progress = DueProgress(event, event_id, epoch_number)
            self.conflated += self._limiter.get(record) is not None
            self._limiter.hold_back(record, progress, self._interval)

    def add_workflow_progress(self, record: OperationRecord, now: float) -> None:
        """Add the progress of a workflow, now or later. It is made when it is added."""
        if self._limiter.try_send(record, self._interval, now):
            self._add_late(record, record, now)
        else:
            self._limiter.hold_back(record, record, self._interval)

    def add_due(self, now: float) -> None:
        """Add the progress that was held back until now."""
        for record, progress in self._limiter.take_due(now).items():
            if self._store.holds(record):
                self._add_late(record, progress, now)
        self._store.evict_excess()  # It may be larger than the progress that it replaces.

    def add_held_back(self, record: OperationRecord, now: float) -> None:
        """Add the progress of an operation that is held back, if there is any."""
        progress = self._limiter.resume(record)
        if progress is not None:
            self._add_late(record, progress, now)

    def take(self) -> list[Delivery]:
        """Return the deliveries since the last call, for operations with a subscription."""
        unsent, self._unsent = self._unsent, {}
        self.appended.update(self._types)
        self._types.clear()
        for history in self._joined:
            if history.joined:
                history.joined = b""
        deliveries = [
            Delivery(record, cursor, sessions, since)
            for record, (cursor, since) in unsent.items()
            if (sessions := self._index.of(record))
        ]
        self.to_sessions += sum([len(one.sessions) for one in deliveries])
        # Not the deliveries: they would hold sessions whose connections are closed.
        self._joined = [one.record.history for one in deliveries]
        return deliveries

    def _add_late(
        self, record: OperationRecord, held_back: DueProgress | OperationRecord, now: float
    ) -> None:
        progress: DueProgress | None
        if isinstance(held_back, DueProgress):
            progress = held_back
        else:
            progress = self._make_progress(held_back)
        if progress is None:
            return
        self._limiter.mark_sent(record, now)
        self._unsent.setdefault(record, (record.history.newest, None))
        self.add(record, progress.event, progress.event_id, progress.epoch_number)
