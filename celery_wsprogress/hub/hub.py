"""The hub: every operation that is held, and who is subscribed to which.

The log meets the clients here. :meth:`Hub.process_batch` folds the events of a batch into their
operations and notes what is to be delivered; :meth:`Hub.take_deliveries` says to whom.
:meth:`Hub.subscribe` begins a subscription. None of them can be interrupted, so no event falls
between a snapshot and what follows it, and none is delivered twice.

Pure: times are passed in. Runs in: the event loop.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import UNSET

from celery_wsprogress.hub.cursor import ReplayCursor
from celery_wsprogress.hub.log_cursor import LogCursor
from celery_wsprogress.hub.rate_limit import ProgressRateLimiter
from celery_wsprogress.hub.store import OperationStore
from celery_wsprogress.hub.subscriptions import Subscriptions, selects
from celery_wsprogress.operations.history import Entry, Kind
from celery_wsprogress.operations.states import Trigger, Verdict, trigger_of
from celery_wsprogress.protocol.batch_numbers import Arrival
from celery_wsprogress.protocol.events import (
    BACKEND_RUN,
    STARTED,
    Completed,
    Error,
    Event,
    Log,
    Progress,
    Result,
    Status,
)
from celery_wsprogress.protocol.frames import payload_of, text_frame
from celery_wsprogress.protocol.messages import encode_event_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from celery_wsprogress.hub.session import Session
    from celery_wsprogress.hub.store import OperationRecord
    from celery_wsprogress.operations.history import History
    from celery_wsprogress.operations.selector import Selector
    from celery_wsprogress.protocol.batches import Batch
    from celery_wsprogress.protocol.event_ids import BatchPosition, LogPosition

MAX_EVENT_ID_LENGTH: Final = 100
"""Longer event ids are not ours. A client may send them, but they are not kept."""


class Delivery(NamedTuple):
    """An operation that has something new, and the sessions that are to be sent it."""

    record: OperationRecord
    cursor: int
    """The ``seq`` that the new entries come after."""
    sessions: tuple[Session, ...]
    since: float | None
    """Epoch seconds of the first of the new events; None where it was held back on purpose."""


class _HeldBack(NamedTuple):
    """A progress that came too soon after the one before."""

    event: Progress
    at: BatchPosition
    at_index: int


@dataclass(slots=True)
class Hub:
    """What the sidecar knows, and who watches it."""

    store: OperationStore = field(default_factory=OperationStore)
    counts: Counter[str] = field(default_factory=Counter)
    """Of events and batches, for statistics: ``events``, ``delivered``, ``behind``, ``over``,
    ``malformed``, ``repeats`` (batches written twice) and ``gaps`` (batches missing)."""
    progress_interval: float = 0.0
    """Seconds between two progress events of one operation, for everybody: of those that come
    sooner the last one is delivered when it is due, or before the next event of another kind."""
    events_read: Counter[type[Event]] = field(default_factory=Counter)
    """Events read, by their type."""
    on_unknown: Callable[[str], None] | None = None
    """Called with an id that somebody subscribes to and nobody has heard of."""
    _log: LogCursor = field(default_factory=LogCursor)
    _subscriptions: Subscriptions = field(default_factory=Subscriptions)
    _unsent: dict[OperationRecord, tuple[int, float | None]] = field(default_factory=dict)
    """What was delivered since the last :meth:`take_deliveries`: where it begins, and when."""
    _limiter: ProgressRateLimiter[OperationRecord, _HeldBack] = field(init=False)
    _heartbeat_interval: float = 0.0
    """Seconds between two signs of life of whoever wrote the batch that is being processed."""

    def __post_init__(self) -> None:
        self._limiter = ProgressRateLimiter(self.progress_interval)

    # From the log.

    def process_batch(self, batch: Batch, *, epoch: str, position: str, now: float) -> None:
        """Fold a batch of the log.

        Args:
            batch: What :func:`~celery_wsprogress.protocol.batches.decode_batch` returned.
            epoch: The epoch of the log.
            position: The position of the batch in the log.
            now: Seconds of a clock that never goes back.
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
            self._process(event, at, index, now)
        for index, (operation_id, run) in enumerate(batch.alive, len(batch.events)):
            record = self.store.get(operation_id)
            if record is not None and record.operation.is_current_run(run):
                self._mark_alive(record, now)
                self._deliver_held_back(record, now)
                self._observe_heartbeat(record, run, batch.at, at, index)
                self.store.touch(record, now)

    def _start_epoch(self, epoch: str) -> None:
        """Begin to read another epoch of the log; a client may have seen some of it already."""
        self._log.start_epoch(epoch)
        for session in self._subscriptions.by_id():
            for cursor in session.cursors.values():
                seen = self._log.position_of(cursor.unknown_since)
                if seen is not None:
                    cursor.skip_until, cursor.unknown_since = cursor.skip_until or seen, None

    def _process(self, event: Event, at: BatchPosition, index: int, now: float) -> None:
        if self.store.was_evicted_finished(event.operation_id) and not _reopens(event):
            self.counts["over"] += 1
            return
        record = self.store.get_or_create(event.operation_id, event.timestamp)
        operation = record.operation
        current = operation.run
        is_progress = type(event) is Progress
        if not (is_progress and operation.is_current_run(event.run)):
            self._deliver_held_back(record, now)
        # What a sidecar inferred is no word of the run itself, and `queued` is of no run.
        spoken = bool(event.run) and not event.inferred
        if spoken:
            self._observe_heartbeat(record, event.run, event.timestamp, at, index)
        verdict, event = operation.fold(event)
        if spoken and operation.is_current_run(event.run):
            self._mark_alive(record, now)
        if isinstance(event, Status):
            # It may have said what selectors look at.
            record.selector_version = -1
            record.waits_until = max(record.waits_until, now + _pause_after(event))
        if verdict is Verdict.DELIVER:
            if operation.run is not current:
                record.history.run_start_seq = record.history.newest + 1
            if not (isinstance(event, Progress) and self._hold_back(record, event, at, index, now)):
                self._deliver(record, event, at.event_id(index), at.epoch_number)
        self.counts[_COUNTED[verdict]] += 1
        self.store.touch(record, now)

    def _hold_back(
        self, record: OperationRecord, event: Progress, at: BatchPosition, index: int, now: float
    ) -> bool:
        held_back = _HeldBack(event, at, index)
        if self._limiter.hold_back(record, held_back, self.progress_interval, now):
            return True
        # An earlier one that is still held back is replaced by this one.
        self._limiter.resume(record)
        self._limiter.mark_sent(record, now)
        return False

    @property
    def next_due(self) -> float | None:
        """When :meth:`flush_due` is to be called; None where nothing is held back."""
        return self._limiter.next_due

    def flush_due(self, now: float) -> None:
        """Deliver the progress that was held back until now.

        Args:
            now: By the clock of :meth:`process_batch`.
        """
        for record, held_back in self._limiter.take_due(now).items():
            if self.store.holds(record):
                self._send_held_back(record, held_back, now)

    def _deliver_held_back(self, record: OperationRecord, now: float) -> None:
        held_back = self._limiter.resume(record)
        if held_back is not None:
            self._send_held_back(record, held_back, now)

    def _send_held_back(self, record: OperationRecord, held_back: _HeldBack, now: float) -> None:
        event, at, index = held_back
        self._limiter.mark_sent(record, now)
        self._unsent.setdefault(record, (record.history.newest, None))
        self._deliver(record, event, at.event_id(index), at.epoch_number)

    def _mark_alive(self, record: OperationRecord, now: float) -> None:
        record.last_heartbeat_at = now
        if record.operation.run is not None:
            record.operation.run.every = self._heartbeat_interval

    def _observe_heartbeat(
        self, record: OperationRecord, run: str, timestamp: float, at: BatchPosition, index: int
    ) -> None:
        """Record that a run is alive, and deliver what follows from it."""
        event = record.operation.observe_heartbeat(run, timestamp)
        if event is None:
            return
        self.counts["resumed"] += 1
        if event.data.status == STARTED:
            record.history.run_start_seq = record.history.newest + 1
        self._deliver(record, event, at.synthetic_event_id(index), at.epoch_number)

    def _deliver(
        self, record: OperationRecord, event: Event, event_id: str, epoch_number: int
    ) -> None:
        """Add the event, as a frame, to the history of its operation."""
        newest = record.history.newest
        self._unsent.setdefault(record, (newest, event.timestamp))
        frame = text_frame(encode_event_frame(event, event_id))
        # All entries of a run share one text.
        current = record.operation.run
        run = current.id if current is not None and current.id == event.run else event.run
        entry = Entry(newest + 1, epoch_number, _KINDS[type(event)], run, frame)
        self.store.append(record, entry)

    def take_deliveries(self) -> list[Delivery]:
        """What is new since the last call, and the sessions that are to be sent it."""
        unsent, self._unsent = self._unsent, {}
        return [
            Delivery(record, cursor, sessions, since)
            for record, (cursor, since) in unsent.items()
            if (sessions := self._subscriptions.of(record))
        ]

    # For the clients.

    def subscribe(
        self, session: Session, operation_id: str, *, replay: str | None, since: str | None
    ) -> bool:
        """Subscribe to an operation; what is to be replayed follows the reply.

        Args:
            session: Who.
            operation_id: Which one.
            replay: ``all``, ``last`` or ``none``; None for what fits: everything that the
                session has not seen.
            since: The last ``event_id`` that the client saw, or None.

        Returns:
            With ``since``: whether exactly what is missing follows.
        """
        record = self.store.get(operation_id)
        again = operation_id in session.subscribed or selects(session, record)
        self._subscriptions.add(session, operation_id)
        if again and since is None and replay is None:
            return False
        position = self._log.position_of(since)
        if record is None:
            return self._expect(session, operation_id, position, since)
        history = record.history
        recovered = self._log.can_recover(position, history.dropped_position)
        cursor = _start_cursor(history, position, replay)
        cursor.unknown_since = _id_of_unknown_epoch(since, position)
        if since is not None and not recovered and cursor.skip_until is None:
            cursor.needs_snapshot = cursor.missed_unknown = session.accepts_snapshots
        session.read(record, cursor)
        return recovered

    def _expect(
        self, session: Session, operation_id: str, position: LogPosition | None, since: str | None
    ) -> bool:
        """Subscribe to an operation that nobody has heard of."""
        if self.on_unknown is not None:
            self.on_unknown(operation_id)
        # What is unsent of one that was evicted still comes, from where the session was.
        if since is not None:
            cursor = session.expect(operation_id)
            cursor.skip_until = position
            cursor.unknown_since = _id_of_unknown_epoch(since, position)
        return self._log.can_recover(position, self.store.evicted_up_to)

    def select(self, session: Session, selector: Selector, *, replay: str) -> None:
        """Subscribe to every operation that a selector matches, now or later.

        Args:
            session: Who.
            selector: Which ones.
            replay: ``last``: how things stand with each of them that has not ended; ``all``:
                the current run of each that is held; ``none``: only what is new.
        """
        if selector in session.selectors:
            return
        found: Iterable[OperationRecord] = ()
        if replay != "none":
            found = self._newly_selected(selector, session, finished=replay == "all")
        self._subscriptions.add_selector(session, selector)
        for record in found:
            history = record.history
            if replay == "all":
                session.read(record, ReplayCursor(history.run_start_seq - 1))
            else:
                session.read(record, ReplayCursor(history.newest, send_latest=True))

    def _newly_selected(
        self, selector: Selector, session: Session, *, finished: bool
    ) -> list[OperationRecord]:
        """What a selector matches and the session does not watch yet, oldest first."""
        return [
            record
            for record in self.store.oldest_first(finished=finished)
            if selector.matches(record.operation)
            and record.operation_id not in session.subscribed
            and not selects(session, record)
        ]

    def unselect(self, session: Session, selector: Selector) -> None:
        """End the subscription to what a selector matches, as far as there is no other one."""
        if self._subscriptions.remove_selector(session, selector):
            unread = session.reading() - session.subscribed
            session.discard({one for one in unread if not self._is_selected(session, one)})

    def unsubscribe(self, session: Session, operation_id: str) -> None:
        """End the subscription to an id; nothing happens where there is none."""
        self._subscriptions.remove(session, operation_id)
        session.clear_max_rate(operation_id)
        if not self._is_selected(session, operation_id):
            session.discard({operation_id})

    def _is_selected(self, session: Session, operation_id: str) -> bool:
        return bool(session.selectors) and selects(session, self.store.get(operation_id))

    def disconnect(self, session: Session) -> None:
        """Forget a session whose connection is gone."""
        session.clear()
        for selector in list(session.selectors):
            self._subscriptions.remove_selector(session, selector)
        for operation_id in list(session.subscribed):
            self._subscriptions.remove(session, operation_id)

    def get(self, operation_id: str) -> dict[str, Any] | None:
        """The operation's snapshot, or None when nobody has heard of it."""
        record = self.store.get(operation_id)
        return record.snapshot() if record else None

    def history(self, operation_id: str, limit: int, max_bytes: int) -> tuple[list[bytes], bool]:
        """The newest events that are held of an operation, as JSON texts, oldest first.

        Earlier runs are included; progress that a later one replaced is gone.

        Args:
            operation_id: Which one.
            limit: How many at the most.
            max_bytes: How many bytes at the most.

        Returns:
            The events, and whether nothing that was heard is missing before them.
        """
        record = self.store.get(operation_id)
        if record is None:
            return [], False
        texts = [payload_of(entry.frame) for entry in record.history.after(0)]
        first = len(texts)
        while first and len(texts) - first < limit and max_bytes >= len(texts[first - 1]):
            first -= 1
            max_bytes -= len(texts[first])
        return texts[first:], first == 0 and record.history.dropped_seq == 0

    def stats(self) -> dict[str, int]:
        """Figures for ``get_stats``, all integers."""
        return {
            "active_operations": self.store.active,
            "total_operations": self.store.total,
            "subscriptions": len(self._subscriptions),
            "held_operations": len(self.store),
            "history_bytes": self.store.history_bytes,
            **{f"{name}_total": self.counts[name] for name in _COUNTS},
        }


def _start_cursor(
    history: History, position: LogPosition | None, replay: str | None
) -> ReplayCursor:
    """Where a subscription begins to read.

    Behind the last event that the client saw, where its position is known; else where the current
    run begins, or now.
    """
    if position is None:
        from_now = replay in {"none", "last"}
        seq = history.newest if from_now else history.run_start_seq - 1
        return ReplayCursor(seq, send_latest=replay == "last")
    cursor = ReplayCursor(history.cursor_at(position))
    if history.position is not None and position > history.position:
        # This sidecar has not read as far as the one that the client comes from.
        cursor.skip_until = position
    return cursor


def _pause_after(status: Status) -> float:
    """Seconds in which the operation is silent after this status, since it waits for its time."""
    data = status.data
    if data.starts_at is not UNSET:
        # By one clock, and a caller's may be wrong: the worker that keeps the message says its own.
        return max(0.0, data.starts_at - status.timestamp)
    return 0.0 if data.retry_in is UNSET else data.retry_in


def _id_of_unknown_epoch(event_id: str | None, position: LogPosition | None) -> str | None:
    """An event id that is worth keeping until its epoch is known."""
    return event_id if position is None and len(event_id or "") <= MAX_EVENT_ID_LENGTH else None


def _reopens(event: Event) -> bool:
    """Whether an event opens an operation again that was evicted after its end.

    Only a start does. What the result backend says of an unknown operation was asked for.
    """
    return trigger_of(event) is Trigger.START or event.run == BACKEND_RUN


_COUNTED: Final = {Verdict.DELIVER: "delivered", Verdict.STALE: "behind", Verdict.ENDED: "over"}
_COUNTS: Final = (
    "events", "delivered", "behind", "over", "resumed", "malformed", "repeats", "gaps",
)  # fmt: skip

_KINDS: Final[Mapping[type[Event], Kind]] = {
    Progress: Kind.PROGRESS,
    Status: Kind.STATUS,
    Log: Kind.OTHER,
    Result: Kind.OTHER,
    Completed: Kind.TERMINAL,
    Error: Kind.TERMINAL,
}
