"""The schedule of a process's progress slots, by the time when each is due.

Not thread-safe: :class:`.EventQueue` calls it, and passes monotonic seconds.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from celery_wsprogress.worker.publishing.progress_slot import ProgressSlot
    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent

MIN_OUTDATED: Final = 100
"""Outdated entries below which the heap is not rebuilt."""


class ProgressSchedule:
    """The slots whose progress waits.

    Args:
        interval: Seconds between two values of one slot.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._slots: set[ProgressSlot] = set()
        self._by_due: list[tuple[float, int, ProgressSlot]] = []
        """A heap. An entry is outdated if its slot is due at another time."""
        self._serial = 0

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, slot: ProgressSlot) -> None:
        """Schedule a slot, an interval after it was last sent."""
        if len(self._by_due) > 2 * len(self._slots) + MIN_OUTDATED:
            self._by_due = [one for one in self._by_due if one[0] == one[2].due]
            heapify(self._by_due)
        self._serial += 1
        slot.due = slot.last_sent_at + self._interval
        self._slots.add(slot)
        heappush(self._by_due, (slot.due, self._serial, slot))

    def next_due(self) -> float:
        """Return the time of the first slot. There must be one."""
        while self._by_due[0][0] != self._by_due[0][2].due:
            heappop(self._by_due)
        return self._by_due[0][0]

    def take_next(self, now: float) -> EncodedEvent | None:
        """Encode the value of the slot that is due first; None when it was sent before."""
        self.next_due()
        return self._take(self._by_due[0][2], now)

    def take(self, slot: ProgressSlot, now: float) -> EncodedEvent | None:
        """Encode the value of this slot, due or not; None when it is not scheduled."""
        return self._take(slot, now) if slot in self._slots else None

    def _take(self, slot: ProgressSlot, now: float) -> EncodedEvent | None:
        self._slots.discard(slot)
        # In this order: a value that the task sets meanwhile is scheduled again.
        slot.due = None
        slot.last_sent_at = now
        return slot.take()

    def detach(self) -> None:
        """Drop all slots; their trackers schedule them in another queue."""
        for slot in self._slots:
            slot.due = None
        self._slots.clear()
        self._by_due.clear()
