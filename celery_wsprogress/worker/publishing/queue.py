"""The queue of a process: events that wait to be written, bounded in bytes and rate-limited.

All events but progress keep their order. Progress waits in slots (:class:`.ProgressSlot`), by the
time when each is due. Not thread-safe: the publisher calls it under its lock, and passes the time,
in monotonic seconds.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict, deque
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

from celery_wsprogress.guard import must_propagate
from celery_wsprogress.printable import escape_control
from celery_wsprogress.protocol.events import MAX_ID_LENGTH
from celery_wsprogress.worker.error_log import log_internal_error
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.publishing.progress_schedule import ProgressSchedule
from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent, LazyEvent, Priority

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from celery_wsprogress.worker.publishing.progress_slot import ProgressSlot
    from celery_wsprogress.worker.publishing.queue_entries import QueueEntry
    from celery_wsprogress.worker.run_info import RunInfo

logger = logging.getLogger(__name__)

ENTRY_OVERHEAD: Final = 200
"""Bytes that an entry takes besides its event, about."""

LIMIT_FACTOR: Final = {
    Priority.PROGRESS: 1,
    Priority.LOG: 1,
    Priority.STATUS: 1,
    Priority.RESULT: 2,
    Priority.LIFECYCLE: 4,
}
"""The size of the queue, as a multiple of its limit, at which events of a priority are dropped, the
oldest first. Even ends are dropped at last: a worker whose events have a broker of their own goes
on for days while that is down, and must not run out of memory."""

JOIN_FACTOR: Final = 2.0
"""The least wait for a batch of chunks only, as a multiple of the interval: pieces that are written
meanwhile are joined."""

BUSY_BATCH_EVENTS: Final = 2
"""Events in a batch beyond which the next one waits longer than the interval."""

MAX_INTERVAL_FACTOR: Final = 5.0
"""The longest wait between two batches, as a multiple of the interval."""

MAX_RUNS_WITH_DROPS: Final = 1_000
"""Runs whose dropped events are counted."""


class OutgoingBatch(NamedTuple):
    """The events of one batch."""

    events: list[bytes]
    confirm: bool
    """Whether it contains more than progress, so that the broker should confirm it."""


class EventQueue:
    """The events that wait for the flusher.

    Args:
        limit: Bytes that may wait; see :data:`LIMIT_FACTOR`.
        event_interval: Seconds between two batches.
        progress_interval: Seconds between two values of one slot.
    """

    def __init__(self, limit: int, event_interval: float, progress_interval: float) -> None:
        self._limit = limit
        self._event_interval = event_interval
        self._progress = ProgressSchedule(progress_interval)
        # Keys increase in the order of sending; a prepended entry gets a key below all others.
        self._entries: OrderedDict[int, QueueEntry] = OrderedDict()
        self._of_priority: Sequence[deque[int]] = [deque() for _ in Priority]
        """The keys of each priority, the oldest first, for the next one to drop."""
        self._last_key = 0
        self._first_key = 0
        self._last_batch_at = -inf
        # A batch costs about the same whatever its size. So where many short runs follow each
        # other, a batch of many events makes the next one wait longer; reports of a task do not.
        self._interval_factor = 1.0
        self._urgent = False
        """Whether a report of a task itself waits: a log line or a status."""
        self._hurries = False
        """Whether anything but chunks waits."""
        self._drops: OrderedDict[str, tuple[RunInfo, int]] = OrderedDict()
        """The run, and its events dropped since the last notice, by run id."""
        self.size = 0
        """Bytes that wait, about."""

    def __bool__(self) -> bool:
        return bool(self._entries or self._progress)

    @property
    def count(self) -> int:
        """The number of events that wait."""
        return len(self._entries) + len(self._progress)

    # Putting events in.

    def put(self, events: Iterable[QueueEntry]) -> None:
        """Append events."""
        for event in events:
            self._last_key += 1
            self._insert(self._last_key, event)
        if self.size > self._limit:
            self._make_room()

    def _prepend(self, events: Sequence[QueueEntry]) -> None:
        for event in reversed(events):
            self._first_key -= 1
            self._insert(self._first_key, event)
            self._entries.move_to_end(self._first_key, last=False)

    def schedule(self, slot: ProgressSlot) -> None:
        """Send the progress of a slot when it is due."""
        self._progress.add(slot)

    def flush_progress(self, slot: ProgressSlot, now: float) -> None:
        """Append the value of a slot, if it waits, so that the next event follows it."""
        event = self._progress.take(slot, now)
        if event is not None:
            self.put((event,))

    def detach(self) -> None:
        """Let go of slots and chunks, in a forked child: what waits here is sent by the parent."""
        self._progress.detach()
        for event in self._entries.values():
            _drop(event)

    # Taking batches out.

    def next_due(self, *, immediate: bool = False) -> float | None:
        """Return the time to send the next batch; None while nothing waits.

        Args:
            immediate: Do not rate-limit.
        """
        if not self:
            return None
        if immediate:
            return -inf
        if self._entries:
            # 0 where entries were left over, also for what is not urgent.
            factor = min(1.0, self._interval_factor) if self._urgent else self._interval_factor
            if factor and not self._hurries:
                factor = max(factor, JOIN_FACTOR)
            return self._last_batch_at + factor * self._event_interval
        return max(self._last_batch_at + self._event_interval, self._progress.next_due())

    def next_batch(self, now: float, room: int, *, immediate: bool = False) -> OutgoingBatch:
        """Take the events of the next batch.

        Args:
            now: Monotonic seconds.
            room: Bytes of all events, each with one byte for a comma.
            immediate: Take progress that is not due, too.
        """
        self._last_batch_at = now
        self._report_drops()
        events: list[bytes] = []
        # Progress last, since it must not be sent before the `started` of its run; none at all
        # while other entries found no room.
        left, confirm = self._take_entries(room, events)
        full = bool(self._entries)
        self._set_interval(len(events), full=full)
        while not full and self._progress and (immediate or self._progress.next_due() <= now):
            event = self._progress.take_next(now)
            if event is None:
                continue
            left -= len(event.event) + 1
            # Its slot counts it as sent already, so it waits among the entries.
            full = left < 0
            if full:
                self.put((event,))
            else:
                events.append(event.event)
        return OutgoingBatch(events, confirm)

    def _take_entries(self, room: int, events: list[bytes]) -> tuple[int, bool]:
        """Take events in order. Return the room that is left, and whether to confirm the batch."""
        confirm = False
        while self._entries:
            # Encoded before it is removed: an exception that propagates must not lose it.
            key, event = next(iter(self._entries.items()))
            encoded = _encoded(event) if isinstance(event, LazyEvent) else event
            if encoded is None:
                self._remove(key)
                continue
            left = room - len(encoded.event) - 1
            # An event that is larger than a whole batch is sent alone.
            if left < 0 and events:
                # Encoded once: to a chunk that was taken nothing is added.
                self._keep_encoded(key, event, encoded)
                break
            room = left
            self._remove(key)
            events.append(encoded.event)
            confirm = confirm or encoded.priority is not Priority.PROGRESS
        return room, confirm

    def _set_interval(self, count: int, *, full: bool) -> None:
        """Set the wait after a batch of this many events."""
        self._urgent = self._hurries = False
        # Entries that found no room are sent at once.
        factor = min(max(1.0, count / BUSY_BATCH_EVENTS), MAX_INTERVAL_FACTOR)
        self._interval_factor = 0.0 if full else factor

    # The limit of the size.

    def _insert(self, key: int, event: QueueEntry) -> None:
        if isinstance(event, EncodedEvent) and _has_invalid_id(event):
            return
        self._entries[key] = event
        self.size += _size(event)
        priority = event.priority
        self._of_priority[priority].append(key)
        self._hurries = self._hurries or not (isinstance(event, LazyEvent) and event.waits)
        self._urgent = self._urgent or priority < Priority.RESULT

    def _keep_encoded(self, key: int, event: QueueEntry, encoded: EncodedEvent) -> None:
        """Put what was encoded in the place of a lazy event, with the priority of that."""
        if event is not encoded:
            self._entries[key] = EncodedEvent(event.priority, encoded.event, encoded.run)
            self.size += _size(encoded) - _size(event)

    def _remove(self, key: int) -> QueueEntry:
        event = self._entries.pop(key)
        self.size -= _size(event)
        keys = self._of_priority[event.priority]
        # Nearly always the first; a notice of drops is prepended, but its key was added last.
        if keys[0] == key:
            keys.popleft()
        else:
            keys.remove(key)
        return event

    def _make_room(self) -> None:
        # What a watcher misses least goes first. A flood of log lines drives out no end.
        for priority in Priority:
            keys = self._of_priority[priority]
            while keys and self.size > self._limit * LIMIT_FACTOR[priority]:
                event = self._remove(keys[0])
                _drop(event)
                if event.run is not None and priority in {Priority.LOG, Priority.STATUS}:
                    self._record_drop(event.run)

    def _record_drop(self, run: RunInfo) -> None:
        _, count = self._drops.pop(run.run_id, (run, 0))
        self._drops[run.run_id] = (run, count + 1)
        while len(self._drops) > MAX_RUNS_WITH_DROPS:
            self._drops.popitem(last=False)

    def _report_drops(self) -> None:
        """Prepend a notice for each run that lost events: it stands before all later ones."""
        if self._drops:
            timestamp, drops = time.time(), self._drops.values()
            self._prepend([encoded_events.drop_notice(run, timestamp, n) for run, n in drops])
            self._drops.clear()


def _size(event: QueueEntry) -> int:
    return event.size if isinstance(event, LazyEvent) else ENTRY_OVERHEAD + len(event.event)


def _drop(event: QueueEntry) -> None:
    if isinstance(event, LazyEvent) and event.drop is not None:
        event.drop()


def _encoded(lazy: LazyEvent) -> EncodedEvent | None:
    """Return the event of a lazy entry; None if it cannot be encoded."""
    try:
        event = lazy.encode()
    except Exception as exc:
        if must_propagate(exc):
            raise
        # An error of ours must not block all later events.
        log_internal_error(logger, logging.ERROR, "Task events: an event cannot be encoded", exc)
        return None
    return None if _has_invalid_id(event) else event


def _has_invalid_id(event: EncodedEvent) -> bool:
    operation_id = event.run.operation_id
    if len(operation_id) <= MAX_ID_LENGTH:
        return False
    quoted = escape_control(operation_id, 100)
    logger.error("No reader accepts a task id that is so long: %s", quoted)
    return True
