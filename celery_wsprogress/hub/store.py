"""The store of a sidecar's operations, bounded by count, bytes and age.

Records are kept in three LRU queues, one for each phase of an operation. Finished operations are
evicted first, then waiting ones, then running ones; within a phase the one that was silent longest.
The hub calls the store. Pure: ``now`` is seconds of the monotonic clock, passed in.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from celery_wsprogress.hub.evicted_records import EvictedRecords
from celery_wsprogress.hub.operation_record import PHASE_OF_STATE, OperationRecord, Phase
from celery_wsprogress.hub.serial_index import SerialIndex
from celery_wsprogress.operations.history import MAX_ENTRIES, History
from celery_wsprogress.operations.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.operations.history_entry import Entry
    from celery_wsprogress.operations.states import State
    from celery_wsprogress.protocol.event_ids import LogPosition

MAX_EVICTED_IDS: Final = 50_000
"""Maximum number of ids of evicted finished operations that are remembered."""

RECORD_BYTES: Final = 1_300
"""Bytes of an operation besides its values and the entries of its history, as
``benchmarks/counted_memory.py`` measures them on CPython 3.11."""

LRU_TOUCH_INTERVAL: Final = 10.0
"""Minimum seconds between two moves of a record within its queue."""

MIN_UNFINISHED_AGE: Final = 86_400.0
"""Minimum seconds for which an operation that has not ended is held after its last event or its
ETA: its message may be queued for long, and its worker may be down."""


# On CPython 3.11 an attribute of an Enum costs ten times what a name costs.
_FINISHED: Final = Phase.FINISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of the store. Ages are in seconds."""

    max_finished: int = 1_000
    max_waiting: int = 100_000
    max_age: float = 86_400.0
    """Maximum age of finished operations; of others at least :data:`MIN_UNFINISHED_AGE`."""
    max_history_bytes: int = 512_000_000
    max_history_entries: int = MAX_ENTRIES
    """Maximum number of events of one operation, besides its latest progress."""


@dataclass(slots=True)
class OperationStore:
    """The operations that are held."""

    limits: Limits = field(default_factory=Limits)
    total: int = 0
    """Number of records ever created."""
    history_bytes: int = 0
    """Bytes of memory of all operations and their histories, about."""
    evicted_up_to: LogPosition | None = None
    """The log position of the newest evicted event."""
    held: Counter[State] = field(default_factory=Counter)
    """Number of operations that are held, by state."""
    ended: Counter[State] = field(default_factory=Counter)
    """Number of operations that have ever ended, by state."""
    _appended: int = 0
    """Number of entries ever appended. A new history counts on from it, see :class:`History`."""
    evicted: EvictedRecords[OperationRecord] = field(default_factory=EvictedRecords)
    """The evicted records that sessions may still read: an eighth of the memory."""
    _records: dict[str, OperationRecord] = field(default_factory=dict)
    _evicted_finished: OrderedDict[int, None] = field(default_factory=OrderedDict)
    """Hashes of the ids of evicted finished operations, the newest last: an id may be long."""
    _lru: list[OrderedDict[str, OperationRecord]] = field(
        default_factory=lambda: [OrderedDict() for _ in Phase]
    )
    """The records by phase; the one that was silent longest is first."""
    _queue_grown: bool = False
    """Whether one of these has grown since the last look for operations to evict."""
    _by_serial: SerialIndex[OperationRecord] = field(default_factory=SerialIndex)
    on_workflow_evicted: Callable[[str], None] = field(default=lambda _: None)
    """Called with the id of the operation of a workflow that was evicted."""

    def __len__(self) -> int:
        return len(self._records)

    @property
    def active(self) -> int:
        """Number of operations that have not ended."""
        return len(self._lru[Phase.WAITING]) + len(self._lru[Phase.RUNNING])

    def get(self, operation_id: str) -> OperationRecord | None:
        """Return the record of an operation; None if it is not held."""
        return self._records.get(operation_id)

    def holds(self, record: OperationRecord) -> bool:
        """Return whether this record was not evicted."""
        return self._records.get(record.operation_id) is record

    def was_evicted_finished(self, operation_id: str) -> bool:
        """Return whether an operation ended and was evicted: a late event must not create it."""
        return hash(operation_id) in self._evicted_finished

    def create(self, operation_id: str, first_seen_at: float) -> OperationRecord:
        """Create the record of an operation; ``first_seen_at`` is epoch seconds of its event."""
        self.total += 1
        self._evicted_finished.pop(hash(operation_id), None)
        operation = Operation(operation_id, first_seen_at=first_seen_at)
        history = History(self.evicted_up_to, self._appended, self.limits.max_history_entries)
        record = OperationRecord(operation, history, self.total)
        self.history_bytes += RECORD_BYTES
        self._records[operation_id] = self._lru[record.phase][operation_id] = record
        self._queue_grown = True
        self._by_serial.append(record)
        return record

    def append(self, record: OperationRecord, entry: Entry) -> None:
        """Append an entry to the history of an operation."""
        self.history_bytes += record.history.append(entry)
        self._appended += 1

    def set_plan_size(self, record: OperationRecord, size: int) -> None:
        """Count the bytes of a workflow with the operation that shows it."""
        self.history_bytes += size - record.plan_size
        record.plan_size = size

    def touch(self, record: OperationRecord, now: float) -> None:
        """Record that an event of the operation was processed, and evict others if needed."""
        record.last_event_at = now
        operation = record.operation
        if (
            operation.size != record.counted_size
            or operation.runs.state is not record.counted_state
            or now - record.lru_touched_at >= LRU_TOUCH_INTERVAL
        ):
            self._count_anew(record, now)
        # Nearly always neither is so.
        if self._queue_grown or self.history_bytes > self.limits.max_history_bytes:
            self.evict_excess()

    def evict_excess(self) -> None:
        """Evict operations while a limit is exceeded."""
        limits = self.limits
        self._queue_grown = False
        finished, waiting, _ = self._lru
        while len(finished) > limits.max_finished:
            self._evict(_first(finished))
        while len(waiting) > limits.max_waiting:
            self._evict(_first(waiting))
        while self.history_bytes > limits.max_history_bytes and len(self._records) > 1:
            self._evict(self._next_to_evict())

    def _count_anew(self, record: OperationRecord, now: float) -> None:
        if not self.holds(record):
            # What its event meant for its workflow has taken its memory.
            return
        operation = record.operation
        self.history_bytes += operation.size - record.counted_size
        record.counted_size = operation.size
        if operation.runs.state is not record.counted_state:
            self._set_state(record, operation.runs.state, now)
        elif now - record.lru_touched_at >= LRU_TOUCH_INTERVAL:
            record.lru_touched_at = now
            self._lru[record.phase].move_to_end(record.operation_id)

    def _set_state(self, record: OperationRecord, state: State, now: float) -> None:
        """Count an operation in its new state, and put it at the end of the queue of its phase."""
        phase = PHASE_OF_STATE[state]
        self._discount(record)
        record.counted_state = state
        self.held[state] += 1
        if phase is _FINISHED:
            self.ended[state] += 1
        del self._lru[record.phase][record.operation_id]
        self._lru[phase][record.operation_id] = record
        self._queue_grown = True
        record.phase, record.lru_touched_at = phase, now

    def _discount(self, record: OperationRecord) -> None:
        if record.counted_state is not None:
            self.held[record.counted_state] -= 1

    def _next_to_evict(self) -> OperationRecord:
        return next(_first(queue) for queue in self._lru if queue)

    def _evict(self, record: OperationRecord) -> None:
        operation_id, history = record.operation_id, record.history
        del self._records[operation_id]
        del self._lru[record.phase][operation_id]
        self._by_serial.remove(record)
        self._discount(record)
        size = history.size + record.counted_size + record.plan_size + RECORD_BYTES
        self.history_bytes -= size
        self.evicted.add(record, size, self.limits.max_history_bytes // 8)
        newest = history.position
        if newest is not None and (self.evicted_up_to is None or newest > self.evicted_up_to):
            self.evicted_up_to = newest
        if record.workflow is not None:
            self.on_workflow_evicted(operation_id)
        if record.phase is Phase.FINISHED:
            self._evicted_finished[hash(operation_id)] = None
            if len(self._evicted_finished) > MAX_EVICTED_IDS:
                self._evicted_finished.popitem(last=False)

    def expire(self, now: float) -> None:
        """Evict operations that were silent for too long."""
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
                # Very many operations may wait for a distant ETA. At the end of the queue this one
                # is not looked at again before another such age is over.
                record.lru_touched_at = now
                queue.move_to_end(record.operation_id)

    def silent(self, state: State, since: float) -> list[OperationRecord]:
        """Return the records in an unfinished state that had no event since a time."""
        found = []
        for record in self._lru[PHASE_OF_STATE[state]].values():
            if record.lru_touched_at > since:
                break
            if record.last_event_at <= since and record.operation.state is state:
                found.append(record)
        return found

    def oldest_first(self, *, finished: bool = True) -> list[OperationRecord]:
        """Return all records, oldest first."""
        if finished:
            return list(self._records.values())
        return [one for one in self._records.values() if one.phase is not _FINISHED]

    def newest_first(self, before: int | None = None, limit: int = 500) -> list[OperationRecord]:
        """Return the records with a serial below ``before``, newest first, at most ``limit``.

        It costs the same at every place of a large store.
        """
        return self._by_serial.before(before, limit)


def _first(queue: OrderedDict[str, OperationRecord]) -> OperationRecord:
    return next(iter(queue.values()))
