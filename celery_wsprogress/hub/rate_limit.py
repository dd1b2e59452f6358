"""Limit how often progress is delivered.

The hub limits the progress of each operation for everybody, and a session limits what its client
asked to be told less often. Only progress is held back, and only until it is due: the newest one
is delivered then, or earlier, before the next event of another kind.

Times are seconds of a clock that never goes back.

Pure.
"""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ProgressRateLimiter(Generic[K, V]):
    """Holds back values until a minimum interval has passed since the last one was sent.

    Type parameters: ``K`` is what is limited, ``V`` what is held back of it.
    """

    __slots__ = ("_due", "_held_back", "_purge_at", "_queue", "_sent_at", "_serial", "max_interval")

    def __init__(self, max_interval: float = 0.0) -> None:
        self.max_interval = max_interval
        """The longest interval in use: when a key was sent is remembered for so many seconds."""
        self._sent_at: dict[K, float] = {}
        self._purge_at = 0.0
        self._held_back: dict[K, V] = {}
        self._due: dict[K, float] = {}
        """When each key is due. The heap has one entry for it, and may have outdated ones."""
        self._queue: list[tuple[float, int, K]] = []
        self._serial = 0

    @property
    def next_due(self) -> float | None:
        """When the next value is due; None where nothing is held back."""
        while self._queue:
            due, _, key = self._queue[0]
            if key in self._held_back and self._due.get(key) == due:
                return due
            heappop(self._queue)
            if self._due.get(key) == due:
                del self._due[key]
        return None

    def is_due(self, key: K, interval: float, now: float) -> bool:
        """Whether the key was not sent for an interval."""
        sent_at = self._sent_at.get(key)
        return sent_at is None or sent_at + interval <= now

    def try_send(self, key: K, interval: float, now: float) -> bool:
        """Record that a key is sent now, if it :meth:`is_due`; whether it is."""
        sent_at = self._sent_at.get(key)
        if sent_at is not None and sent_at + interval > now:
            return False
        self.mark_sent(key, now)
        return True

    def hold_back(self, key: K, value: V, interval: float) -> None:
        """Hold a value back until its key :meth:`is_due`. It replaces an earlier one of the key."""
        self._held_back[key] = value
        due = self._sent_at[key] + interval
        if self._due.get(key) != due:
            self._due[key] = due
            self._serial += 1
            heappush(self._queue, (due, self._serial, key))

    def resume(self, key: K) -> V | None:
        """Take back what is held back of a key."""
        return self._held_back.pop(key, None)

    def resume_all(self) -> dict[K, V]:
        """Take back everything: the intervals have changed."""
        found, self._held_back = self._held_back, {}
        return found

    def take_due(self, now: float) -> dict[K, V]:
        """Take back what is due now."""
        found: dict[K, V] = {}
        while (due := self.next_due) is not None and due <= now:
            key = heappop(self._queue)[2]
            del self._due[key]
            found[key] = self._held_back.pop(key)
        return found

    def mark_sent(self, key: K, now: float) -> None:
        """Record that progress of a key is sent now. What is held back of it is outdated."""
        self._held_back.pop(key, None)
        self._sent_at[key] = now
        if now >= self._purge_at:
            # What is left was sent since the last time: this costs as much as sending it did.
            self._purge_at = now + self.max_interval
            oldest = now - self.max_interval
            self._sent_at = {one: at for one, at in self._sent_at.items() if at >= oldest}

    def held_back(self) -> list[K]:
        """The keys of which something is held back."""
        return list(self._held_back)
