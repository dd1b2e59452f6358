"""What a process has to say and has not written yet: bounded, and paced.

Knows no thread and no lock: the publisher calls it under its own, but for :meth:`Buffer.leave`.
The times of the pacing are seconds of one monotonic clock, passed in.

Two kinds of things wait here. **Reports** leave in their order, none is left out while there is
room; the last ones may be drafts that are still to be made. **Trackers** are slots: each waits
once, however often its value changes, and is asked for it when it leaves.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from celery_wsprogress import rendering
from celery_wsprogress.events import MAX_ID_LENGTH
from celery_wsprogress.worker import reports
from celery_wsprogress.worker.faults import log_fault
from celery_wsprogress.worker.reports import Draft, Kind, Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from celery_wsprogress.worker.runs import Run
    from celery_wsprogress.worker.tracker import Tracker

logger = logging.getLogger(__name__)

Said: TypeAlias = Report | Draft
"""What leaves in its order."""

_ENTRY_OVERHEAD: Final = 200
"""About what an entry costs besides its bytes."""

_MOST_LEFT: Final = 64
"""Drafts that may wait to be made. What they take is not counted."""

_SHARE_OF_KIND: Final = {
    Kind.PROGRESS: 1,
    Kind.LOG: 1,
    Kind.WORD: 1,
    Kind.RESULT: 2,
    Kind.LIFE: 4,
}
"""How many times the buffer's limit may be passed before a kind is given up, oldest first.
What a log or a status word takes stays within the limit. Results, ends and the progress just
before an end are kept beyond it, but not for ever: a worker whose events have a broker of their
own goes on working for days while that one is away, and must not die of what it could not say."""


_BUSY: Final = 2
"""Events that a batch may carry before the next one waits longer than the interval."""

_MOST_INTERVALS: Final = 5.0
"""How many times the interval it waits at the most."""


class Taken(NamedTuple):
    """What leaves in one batch."""

    events: list[bytes]
    confirm: bool
    """Whether there is more in it than progress."""


class Buffer:
    """Reports and slots that wait for the flusher.

    A batch costs much the same whatever it carries, so a process in which one short run follows
    the other says less often how they go: the more a batch carried, the longer the next one
    waits. What a task says itself never waits for that.

    Args:
        limit: Bytes that may wait.
        event_interval: Seconds between two batches.
        progress_interval: Seconds between two values of one tracker.
    """

    def __init__(self, limit: int, event_interval: float, progress_interval: float) -> None:
        self._limit = limit
        self._event_interval = event_interval
        self._progress_interval = progress_interval
        self._entries: OrderedDict[int, Report] = OrderedDict()
        self._left: deque[Draft] = deque()
        self._of_kind: Sequence[deque[int]] = [deque() for _ in Kind]
        self._next = 0
        self._first = 0
        self._slots: dict[Tracker, None] = {}
        self._last_batch = float("-inf")
        self._intervals = 1.0
        self._urgent = False
        self._dropped: OrderedDict[str, tuple[Run, int]] = OrderedDict()
        self.size = 0
        """Bytes that wait, about."""

    def __bool__(self) -> bool:
        return bool(self._entries or self._left or self._slots)

    @property
    def count(self) -> int:
        """How many things wait."""
        return len(self._entries) + len(self._left) + len(self._slots)

    @property
    def has_reports(self) -> bool:
        """Whether something else than a tracker waits."""
        return bool(self._entries or self._left)

    # What comes in.

    def leave(self, said: Sequence[Said]) -> bool:
        """Append to what leaves in order, without the lock: all of it at once, or nothing.

        Returns:
            Whether it is taken: drafts are, as long as there are few.
        """
        if len(self._left) >= _MOST_LEFT:
            return False
        for one in said:
            if type(one) is not Draft:
                return False
        self._left.extend(said)  # type: ignore[arg-type]  # drafts, as was seen
        return True

    def put(self, said: Iterable[Said]) -> None:
        """Append to what leaves in order."""
        while self._left:
            draft = self._left[0]
            self._append(_made(draft))
            # A signal handler of the task may come in between, and report something or raise:
            # rather said twice, which readers know, than not at all.
            if self._left and self._left[0] is draft:
                self._left.popleft()
        for one in said:
            self._append(_made(one) if isinstance(one, Draft) else (one,))
        if self.size > self._limit:
            self._make_room()

    def _append(self, entries: Iterable[Report]) -> None:
        for entry in entries:
            if not _is_too_long(entry.run.operation_id):
                self._next += 1
                self._insert(self._next, entry)

    def _put_first(self, found: Sequence[Report]) -> None:
        for report in reversed(found):
            self._first -= 1
            self._insert(self._first, report)
            self._entries.move_to_end(self._first, last=False)

    def offer(self, tracker: Tracker) -> None:
        """Have the tracker asked for its value when it is due."""
        self._slots[tracker] = None
        tracker.waiting = True

    def seal(self, tracker: Tracker, now: float) -> None:
        """Put the tracker's value, if it has one to give, where the next report will follow."""
        if tracker in self._slots:
            del self._slots[tracker]
            report = self._value_of(tracker, now)
            if report is not None:
                self.put((report,))

    def forget_slots(self) -> None:
        """Let the trackers offer themselves anew, to another buffer."""
        for tracker in self._slots:
            tracker.waiting = False
        self._slots.clear()

    # What goes out.

    def due(self, *, hurry: bool = False) -> float | None:
        """When the next batch should leave; None while there is nothing to say.

        Args:
            hurry: Leave out the pacing.
        """
        if not self:
            return None
        if hurry:
            return float("-inf")
        if self.has_reports:
            intervals = min(1.0, self._intervals) if self._urgent else self._intervals
            return self._last_batch + intervals * self._event_interval
        paced = self._last_batch + self._event_interval
        return max(paced, min(map(self._due_of, self._slots)))

    def take(self, now: float, room: int, *, hurry: bool = False) -> Taken:
        """Take out what leaves now.

        Reports come before values: a value must not arrive before the ``started`` of its run.

        Args:
            now: The time.
            room: Bytes the events may have together, each with one byte for a comma.
            hurry: Take values that are not due yet, too.
        """
        self._last_batch = now
        self._admit_losses()
        taken = self._take_entries(room)
        room -= sum(len(event) + 1 for event in taken.events)
        if self._left and not self._entries:
            room = self._take_left(room, taken.events)
            taken = taken._replace(confirm=True)
        full = bool(self._entries) or room < 0
        self._pace(len(taken.events), full=full)
        if full:
            return taken
        for tracker in [t for t in self._slots if hurry or self._due_of(t) <= now]:
            del self._slots[tracker]
            report = self._value_of(tracker, now)
            if report is None:
                continue
            room -= len(report.event) + 1
            if room < 0:
                self.put((report,))
                break
            taken.events.append(report.event)
        return taken

    def _pace(self, count: int, *, full: bool) -> None:
        """Say how long the next batch waits, after one of so many events."""
        self._urgent = False
        # What found no room any more does not wait at all.
        self._intervals = 0.0 if full else min(max(1.0, count / _BUSY), _MOST_INTERVALS)

    def _due_of(self, tracker: Tracker) -> float:
        return tracker.taken_at + self._progress_interval

    def _value_of(self, tracker: Tracker, now: float) -> Report | None:
        # In this order: a value that comes in between is offered again.
        tracker.waiting = False
        tracker.taken_at = now
        return tracker.take()

    def _take_entries(self, room: int) -> Taken:
        taken = Taken([], confirm=False)
        while self._entries:
            number, entry = next(iter(self._entries.items()))
            room -= len(entry.event) + 1
            # One that is larger than a whole batch leaves alone.
            if room < 0 and taken.events:
                break
            self._remove(number)
            taken.events.append(entry.event)
            if entry.kind is not Kind.PROGRESS and not taken.confirm:
                taken = taken._replace(confirm=True)
        return taken

    def _take_left(self, room: int, events: list[bytes]) -> int:
        """Make what was left. Returns the room that is left then; below 0: some found none."""
        while self._left:
            for report in _made(self._left[0]):
                room -= len(report.event) + 1
                if room < 0 and events:
                    return room
                events.append(report.event)
            self._left.popleft()
        return room

    # Room.

    def _insert(self, number: int, entry: Report) -> None:
        self._entries[number] = entry
        self.size += _cost(entry)
        self._of_kind[entry.kind].append(number)
        self._urgent = self._urgent or entry.kind < Kind.RESULT

    def _remove(self, number: int) -> Report:
        entry = self._entries.pop(number)
        self.size -= _cost(entry)
        waiting = self._of_kind[entry.kind]
        # Nearly always the first one; a warning about what was dropped may be the last.
        if waiting[0] == number:
            waiting.popleft()
        else:
            waiting.remove(number)
        return entry

    def _make_room(self) -> None:
        for kind in Kind:
            waiting = self._of_kind[kind]
            while waiting and self.size > self._limit * _SHARE_OF_KIND[kind]:
                entry = self._remove(waiting[0])
                if kind in {Kind.LOG, Kind.WORD}:
                    self._count_loss(entry.run)

    def _count_loss(self, run: Run) -> None:
        _, count = self._dropped.pop(run.run, (run, 0))
        self._dropped[run.run] = (run, count + 1)
        # They are few (those with something in the buffer), but nothing here is without bound.
        while len(self._dropped) > 1_000:
            self._dropped.popitem(last=False)

    def _admit_losses(self) -> None:
        """Say what was dropped, before anything that was said after it."""
        if self._dropped:
            now = time.time()
            self._put_first([reports.dropped(run, now, n) for run, n in self._dropped.values()])
            self._dropped.clear()


def _cost(entry: Report) -> int:
    return _ENTRY_OVERHEAD + len(entry.event)


def _made(draft: Draft) -> Sequence[Report]:
    """The report of a draft, where it can be made and said."""
    try:
        report = draft.make()
    except Exception as exc:
        if rendering.is_of_the_task(exc):
            raise
        # A fault of ours must not hold up everything behind it.
        log_fault(logger, logging.ERROR, "Task events: an event cannot be made", exc)
        return ()
    return () if _is_too_long(report.run.operation_id) else (report,)


def _is_too_long(operation_id: str) -> bool:
    if len(operation_id) <= MAX_ID_LENGTH:
        return False
    logger.error("No reader takes so long a task id: %.100s…", operation_id)
    return True
