"""The hub: all operations of a sidecar, their subscriptions, and the deliveries.

:meth:`Hub.process_batch` folds the events of a batch into their operations;
:meth:`Hub.take_deliveries` returns the sessions that get them. Subscriptions begin and end in
:attr:`Hub.subscriptions`. No method awaits, so no event falls between a snapshot and the events
after it, and none is delivered twice. :mod:`celery_wsprogress.sidecar` calls all of these.

Pure: times are passed in. Runs in: the event loop.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import UNSET, Struct

from celery_wsprogress.hub.log_cursor import LogCursor
from celery_wsprogress.hub.rate_limit import ProgressRateLimiter
from celery_wsprogress.hub.store import OperationStore
from celery_wsprogress.hub.subscriptions import Subscriptions
from celery_wsprogress.operations.history import KINDS, Entry
from celery_wsprogress.operations.resumption import resume
from celery_wsprogress.operations.states import Verdict, reopens
from celery_wsprogress.protocol.batch_numbers import Arrival
from celery_wsprogress.protocol.event_ids import BatchPosition
from celery_wsprogress.protocol.events import (
    STARTED,
    Event,
    LogEvent,
    Plan,
    Progress,
    Status,
)
from celery_wsprogress.protocol.frames import text_frame
from celery_wsprogress.protocol.messages import encode_event_frame

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery_wsprogress.hub.session import Session
    from celery_wsprogress.hub.store import OperationRecord
    from celery_wsprogress.operations.runs import Run
    from celery_wsprogress.protocol.batches import Batch

# Read for each event: on CPython 3.11 an attribute of an Enum costs ten times what a name costs.
_DELIVER: Final = Verdict.DELIVER


class Delivery(NamedTuple):
    """New entries of one operation, and the sessions that get them."""

    record: OperationRecord
    cursor: int
    """``seq`` of the last entry before the new ones."""
    sessions: tuple[Session, ...]
    since: float | None
    """Epoch seconds of the first new event; None if the rate limit held it back."""


class _HeldBack(Struct, gc=False):
    """A progress that came before the interval was over."""

    event: Event
    at: BatchPosition
    index: int


@dataclass(slots=True)
class Hub:
    """All operations of a sidecar and their subscriptions."""

    store: OperationStore = field(default_factory=OperationStore)
    counts: Counter[str] = field(default_factory=Counter)
    """Numbers of events: ``events``, ``delivered``, ``behind``, ``over``, ``resumed``,
    ``malformed``; of batches: ``repeats`` (written twice) and ``gaps`` (missing); and of questions
    of clients about unknown operations: ``lookups_refused``."""
    progress_interval: float = 0.0
    """Minimum seconds between two progress events of one operation, for all sessions."""
    events_read: Counter[type[LogEvent]] = field(default_factory=Counter)
    """Numbers of events read, by type."""
    _log: LogCursor = field(default_factory=LogCursor)
    subscriptions: Subscriptions = field(init=False)
    _unsent: dict[OperationRecord, tuple[int, float | None]] = field(default_factory=dict)
    """``cursor`` and ``since`` of the :class:`Delivery` that is due, by operation."""
    _joined: Iterable[OperationRecord] = ()
    """The operations of the last deliveries, whose frames may be joined for several sessions."""
    _limiter: ProgressRateLimiter[OperationRecord, _HeldBack] = field(init=False)
    _heartbeat_interval: float = 0.0
    """Seconds between two heartbeats of the writer whose batch is being processed."""

    def __post_init__(self) -> None:
        self.subscriptions = Subscriptions(self.store, self._log)
        self._limiter = ProgressRateLimiter(self.progress_interval)
        self.store.evicted.on_forgotten = self._close_slow_readers

    # From the log.

    def process_batch(self, batch: Batch, *, epoch: str, position: str, now: float) -> None:
        """Fold the events and heartbeats of a batch into their operations.

        Args:
            batch: The next batch of the log.
            epoch: The epoch of the log.
            position: The position of the batch in the log.
            now: Seconds of the monotonic clock.
        """
        arrival = self._log.arrival_of(batch)
        self.counts["gaps"] += arrival is Arrival.AHEAD
        if arrival is Arrival.REPEAT:
            self.counts["repeats"] += 1
            return
        if epoch != self._log.epoch:
            self._start_epoch(epoch)
        at = self._log.advance(position)
        self.counts["malformed"] += batch.malformed
        self.counts["events"] += len(batch.events)
        self.events_read.update(map(type, batch.events))
        self._heartbeat_interval = batch.every
        for index, event in enumerate(batch.events):
            if isinstance(event, Plan):
                continue
            self._process(event, at, index, now)
        for index, (operation_id, run) in enumerate(batch.alive, len(batch.events)):
            record = self.store.get(operation_id)
            current = None if record is None else record.operation.run
            if record is not None and current is not None and current.id == run:
                record.last_heartbeat_at = now
                current.heartbeat_interval = batch.every
                self._deliver_held_back(record, now)
                if current.mark_alive(batch.at):
                    self._resume(record, current, batch.at, at, index)
                self.store.touch(record, now)

    def _start_epoch(self, epoch: str) -> None:
        """Begin to read another epoch of the log."""
        self._log.start_epoch(epoch)
        for session in self.subscriptions.index.by_id():
            for cursor in session.cursors.values():
                seen = self._log.position_of(cursor.unknown_since)
                if seen is not None:
                    cursor.skip_until, cursor.unknown_since = cursor.skip_until or seen, None

    def _process(self, event: Event, at: BatchPosition, index: int, now: float) -> None:
        record = self.store.get(event.operation_id) or self._create(event)
        if record is None:
            return
        operation, run = record.operation, event.run
        before = operation.runs.current
        is_current = before is not None and before.id == run
        is_progress = type(event) is Progress
        if not (is_current and is_progress):
            self._deliver_held_back(record, now)
        # What a sidecar inferred was not reported by the run itself, and `queued` is of no run.
        reported = bool(run) and not event.inferred
        if reported and before is not None and is_current and before.mark_alive(event.timestamp):
            self._resume(record, before, event.timestamp, at, index)
        verdict, event = operation.fold(event)
        current = operation.runs.current
        if reported and current is not None and current.id == run:
            record.last_heartbeat_at = now
            current.heartbeat_interval = self._heartbeat_interval
        if isinstance(event, Status):
            # It may have set fields that selectors match.
            record.selector_version = -1
            record.waits_until = max(record.waits_until, now + _pause_after(event))
        self.counts[_COUNTED[verdict]] += 1
        if verdict is _DELIVER:
            if current is not before:
                record.history.run_start_seq = record.history.newest + 1
            if not is_progress or self._limiter.try_send(record, self.progress_interval, now):
                self._deliver(record, event, at.event_id(index), at.epoch_number)
            else:
                held_back = _HeldBack(event, at, index)
                self._limiter.hold_back(record, held_back, self.progress_interval)
        self.store.touch(record, now)

    def _create(self, event: Event) -> OperationRecord | None:
        """Create the record of an operation; None for a late event of one that was evicted."""
        if self.store.was_evicted_finished(event.operation_id) and not reopens(event):
            self.counts["over"] += 1
            return None
        return self.store.create(event.operation_id, event.timestamp)

    @property
    def next_due(self) -> float | None:
        """Monotonic time at which to call :meth:`flush_due`; None if nothing is held back."""
        return self._limiter.next_due

    def flush_due(self, now: float) -> None:
        """Deliver the progress that was held back until now."""
        for record, held_back in self._limiter.take_due(now).items():
            if self.store.holds(record):
                self._send_held_back(record, held_back, now)
        self.store.evict_excess()  # It may be larger than the progress that it replaces.

    def _deliver_held_back(self, record: OperationRecord, now: float) -> None:
        held_back = self._limiter.resume(record)
        if held_back is not None:
            self._send_held_back(record, held_back, now)

    def _send_held_back(self, record: OperationRecord, held_back: _HeldBack, now: float) -> None:
        self._limiter.mark_sent(record, now)
        self._unsent.setdefault(record, (record.history.newest, None))
        at = held_back.at
        self._deliver(record, held_back.event, at.event_id(held_back.index), at.epoch_number)

    def _resume(
        self, record: OperationRecord, run: Run, timestamp: float, at: BatchPosition, index: int
    ) -> None:
        """Deliver the event that resumes the current run."""
        event = resume(record.operation, run, timestamp)
        self.counts["resumed"] += 1
        if event.data.status == STARTED:
            record.history.run_start_seq = record.history.newest + 1
        self._deliver(record, event, at.synthetic_event_id(index), at.epoch_number)

    def _deliver(
        self, record: OperationRecord, event: Event, event_id: str, epoch_number: int
    ) -> None:
        """Encode the event and append it to the history of its operation."""
        newest = record.history.newest
        self._unsent.setdefault(record, (newest, event.timestamp))
        frame = text_frame(encode_event_frame(event, event_id))
        # All entries of a run share one `str`, to save memory.
        current = record.operation.runs.current
        run = current.id if current is not None and current.id == event.run else event.run
        entry = Entry(newest + 1, epoch_number, KINDS[type(event)], run, frame)
        self.store.append(record, entry)

    def take_deliveries(self) -> list[Delivery]:
        """Return the deliveries since the last call, for operations with a subscription."""
        unsent, self._unsent = self._unsent, {}
        for record in self._joined:
            record.history.forget_joined()
        self._joined = unsent
        return [
            Delivery(record, cursor, sessions, since)
            for record, (cursor, since) in unsent.items()
            if (sessions := self.subscriptions.index.of(record))
        ]

    def _close_slow_readers(self, record: OperationRecord) -> None:
        """Close the sessions that have not read an evicted operation whose memory is needed."""
        for session in self.subscriptions.index.of(record):
            if record.operation_id in session.reading():
                session.too_slow = True
                session.clear()
                session.writer.close_too_slow()

    # For commands.

    def get(self, operation_id: str) -> dict[str, Any] | None:
        """Return the snapshot of an operation; None if it is not held."""
        record = self.store.get(operation_id)
        return record.snapshot() if record else None

    def stats(self) -> dict[str, int]:
        """Return the figures for ``get_stats``."""
        return {
            "active_operations": self.store.active,
            "total_operations": self.store.total,
            "subscriptions": len(self.subscriptions.index),
            "held_operations": len(self.store),
            "history_bytes": self.store.history_bytes,
            **{f"{name}_total": self.counts[name] for name in _COUNTS},
        }


def _pause_after(status: Status) -> float:
    """Return the seconds that the operation waits after a status, for its ETA or its retry."""
    data = status.data
    if data.starts_at is not UNSET:
        # Both times are by the clock of the writer, which may be wrong.
        return max(0.0, data.starts_at - status.timestamp)
    return 0.0 if data.retry_in is UNSET else data.retry_in


_COUNTED: Final = {Verdict.DELIVER: "delivered", Verdict.STALE: "behind", Verdict.ENDED: "over"}
_COUNTS: Final = (
    "events", "delivered", "behind", "over", "resumed", "malformed", "repeats", "gaps",
    "lookups_refused",
)  # fmt: skip
