"""The operations that a sidecar holds, bounded by count, bytes and age.

Records are kept in three LRU queues, one for each phase of an operation. When something must be
evicted, finished operations go first, then waiting ones, then running ones; within a phase the one
that has been silent longest.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.operations.history import History
from celery_wsprogress.operations.operation import Operation
from celery_wsprogress.operations.snapshot import snapshot_of
from celery_wsprogress.operations.states import State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery_wsprogress.operations.history import Entry
    from celery_wsprogress.operations.selector import Selector
    from celery_wsprogress.protocol.event_ids import LogPosition

MAX_EVICTED_IDS: Final = 50_000
"""Evicted operations of which only the id is remembered, and that they had ended."""

LRU_TOUCH_INTERVAL: Final = 10.0
"""Seconds within which an operation that makes progress moves in its queue once at most."""

MIN_UNFINISHED_AGE: Final = 86_400.0
"""Seconds that an operation which has not ended is held at least after its last event, or after
the time that it waits for: its message may be queued for long, and its worker may be away."""


class Phase(IntEnum):
    """Where an operation is in its life, as far as eviction goes. In the order of eviction."""

    FINISHED = 0
    WAITING = 1
    RUNNING = 2


PHASE_OF_STATE: Final = {
    State.QUEUED: Phase.WAITING,
    State.RECEIVED: Phase.WAITING,
    State.RUNNING: Phase.RUNNING,
    State.RETRYING: Phase.RUNNING,
    State.REPLACED: Phase.RUNNING,
    State.COMPLETED: Phase.FINISHED,
    State.ERROR: Phase.FINISHED,
    State.CANCELLED: Phase.FINISHED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the store may hold. Ages are in seconds."""

    max_finished: int = 1_000
    max_waiting: int = 100_000
    max_age: float = 86_400.0
    """Of finished operations; the others are held for :data:`MIN_UNFINISHED_AGE` at least."""
    max_history_bytes: int = 256_000_000


class OperationRecord:
    """One operation that is held, with its history. Times are those of the hub's clock.

    Args:
        operation: The operation.
        history: What was delivered of it.
        serial: Counts all operations ever held; the newest has the highest.
    """

    __slots__ = (
        "history",
        "last_event_at",
        "last_heartbeat_at",
        "lru_touched_at",
        "operation",
        "phase",
        "selected_by",
        "selector_version",
        "serial",
        "waits_until",
    )

    def __init__(self, operation: Operation, history: History, serial: int) -> None:
        self.operation = operation
        self.history = history
        self.serial = serial
        self.phase = Phase.WAITING
        self.last_event_at = 0.0
        self.lru_touched_at = 0.0
        """When it moved to the end of its queue."""
        self.last_heartbeat_at = 0.0
        """When its current run last gave a sign of life."""
        self.waits_until = 0.0
        """When it may start, or start again, at the earliest."""
        self.selected_by: tuple[Selector, ...] = ()
        """The selectors that match it; see :class:`.Subscriptions`."""
        self.selector_version = -1
        """The version of the selectors that :attr:`selected_by` is of; -1 if it is outdated."""

    @property
    def operation_id(self) -> str:
        """The id of the operation."""
        return self.operation.operation_id

    def snapshot(self) -> dict[str, Any]:
        """The operation as the protocol shows it, with the number of its events and the last."""
        history = self.history
        return {
            **snapshot_of(self.operation),
            "event_count": history.newest - history.first_seq,
            "last_event_id": history.last_event_id,
        }


@dataclass(slots=True)
class OperationStore:
    """The operations that are held."""

    limits: Limits = field(default_factory=Limits)
    total: int = 0
    """Operations ever held."""
    history_bytes: int = 0
    """Size of all histories."""
    evicted_up_to: LogPosition | None = None
    """The log position of the newest event that was evicted with its operation."""
    _appended: int = 0
    """Entries ever added to a history."""
    _records: dict[str, OperationRecord] = field(default_factory=dict)
    _evicted_finished: OrderedDict[str, None] = field(default_factory=OrderedDict)
    """Ids of finished operations that were evicted, the newest last."""
    _lru: list[OrderedDict[str, OperationRecord]] = field(
        default_factory=lambda: [OrderedDict() for _ in Phase]
    )
    """The records by phase; the one that has been silent longest is first."""

    def __len__(self) -> int:
        return len(self._records)

    @property
    def active(self) -> int:
        """How many operations have not ended."""
        return len(self._lru[Phase.WAITING]) + len(self._lru[Phase.RUNNING])

    def get(self, operation_id: str) -> OperationRecord | None:
        """The record of an operation, if it is held."""
        return self._records.get(operation_id)

    def holds(self, record: OperationRecord) -> bool:
        """Whether this record is still held."""
        return self._records.get(record.operation_id) is record

    def was_evicted_finished(self, operation_id: str) -> bool:
        """Whether the operation is not held any more, and had ended before.

        A process that could not write for a while may still report what it did before that end.
        It must not be taken for a new operation.
        """
        return operation_id in self._evicted_finished

    def create(self, operation_id: str, first_seen_at: float) -> OperationRecord:
        """Make the record of an operation that is not held.

        Args:
            operation_id: Which one.
            first_seen_at: Epoch seconds of the event that it is made for.
        """
        self.total += 1
        self._evicted_finished.pop(operation_id, None)
        operation = Operation(operation_id, first_seen_at=first_seen_at)
        history = History(self.evicted_up_to, self._appended)
        record = OperationRecord(operation, history, self.total)
        self._records[operation_id] = self._lru[record.phase][operation_id] = record
        return record

    def append(self, record: OperationRecord, entry: Entry) -> None:
        """Add to the history of an operation."""
        self.history_bytes += record.history.append(entry)
        self._appended += 1

    def touch(self, record: OperationRecord, now: float) -> None:
        """Record that an event of the operation was processed, and evict what is too much."""
        record.last_event_at = now
        phase = PHASE_OF_STATE[record.operation.runs.state]
        if record.phase is not phase:
            self._set_phase(record, phase, now)
        elif now - record.lru_touched_at >= LRU_TOUCH_INTERVAL:
            record.lru_touched_at = now
            self._lru[phase].move_to_end(record.operation_id)
        limits = self.limits
        finished, waiting, _ = self._lru
        while len(finished) > limits.max_finished:
            self._evict(_first(finished))
        while len(waiting) > limits.max_waiting:
            self._evict(_first(waiting))
        while self.history_bytes > limits.max_history_bytes and len(self._records) > 1:
            self._evict(self._next_to_evict())

    def _set_phase(self, record: OperationRecord, phase: Phase, now: float) -> None:
        del self._lru[record.phase][record.operation_id]
        self._lru[phase][record.operation_id] = record
        record.phase, record.lru_touched_at = phase, now

    def _next_to_evict(self) -> OperationRecord:
        return next(_first(queue) for queue in self._lru if queue)

    def _evict(self, record: OperationRecord) -> None:
        operation_id, history = record.operation_id, record.history
        del self._records[operation_id]
        del self._lru[record.phase][operation_id]
        self.history_bytes -= history.size
        newest = history.position
        if newest is not None and (self.evicted_up_to is None or newest > self.evicted_up_to):
            self.evicted_up_to = newest
        if record.phase is Phase.FINISHED:
            self._evicted_finished[operation_id] = None
            if len(self._evicted_finished) > MAX_EVICTED_IDS:
                self._evicted_finished.popitem(last=False)

    def expire(self, now: float) -> None:
        """Evict what has been silent for too long. Called now and then."""
        finished = self._lru[Phase.FINISHED]
        while finished and now - _first(finished).last_event_at >= self.limits.max_age:
            self._evict(_first(finished))
        age = max(self.limits.max_age, MIN_UNFINISHED_AGE)
        for phase in (Phase.WAITING, Phase.RUNNING):
            self._expire_unfinished(self._lru[phase], now, age)

    def _expire_unfinished(
        self, queue: OrderedDict[str, OperationRecord], now: float, age: float
    ) -> None:
        while queue:
            record = _first(queue)
            if now - max(record.last_event_at, record.lru_touched_at) < age:
                break
            if now - record.waits_until >= age:
                self._evict(record)
            else:
                # It moves to the end, so that it is looked at again only after another such age:
                # very many operations may wait for a time that is far away.
                record.lru_touched_at = now
                queue.move_to_end(record.operation_id)

    def silent(self, state: State, since: float) -> list[OperationRecord]:
        """The operations in an unfinished state of which nothing was heard since a time."""
        found = []
        for record in self._lru[PHASE_OF_STATE[state]].values():
            if record.lru_touched_at > since:
                break
            if record.last_event_at <= since and record.operation.state is state:
                found.append(record)
        return found

    def oldest_first(self, *, finished: bool = True) -> Iterator[OperationRecord]:
        """The records, oldest first. None may be added or removed meanwhile."""
        return (one for one in self._records.values() if finished or one.phase != Phase.FINISHED)

    def newest_first(
        self, before: int | None = None, *, finished: bool = True
    ) -> Iterator[OperationRecord]:
        """The records, newest first. None may be added or removed meanwhile.

        Args:
            before: Only records whose serial is below.
            finished: Include operations that have ended.
        """
        for record in reversed(self._records.values()):
            wanted = finished or record.phase is not Phase.FINISHED
            if wanted and (before is None or record.serial < before):
                yield record


def _first(queue: OrderedDict[str, OperationRecord]) -> OperationRecord:
    return next(iter(queue.values()))
