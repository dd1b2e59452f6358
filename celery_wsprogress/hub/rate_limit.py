"""The rate limit of progress.

The hub has one limiter for all clients, and a session has one of its own if its client set
``max_rate``. Only progress is held back: the newest one is delivered when it is due, or earlier,
before the next event of another kind.

Times are seconds of the monotonic clock: a wall clock that is set back would stop progress.

Pure.
"""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ProgressRateLimiter(Generic[K, V]):
    """A limiter that holds a value (``V``) of a key (``K``) back until an interval is over."""

    __slots__ = ("_due", "_held_back", "_purge_at", "_queue", "_sent_at", "_serial", "max_interval")

    def __init__(self, max_interval: float = 0.0) -> None:
        self.max_interval = max_interval
        """The longest interval in use: times of sending are kept for so many seconds."""
        self._sent_at: dict[K, float] = {}
        self._purge_at = 0.0
        self._held_back: dict[K, V] = {}
        self._due: dict[K, float] = {}
        # `heapq` cannot remove an entry from the middle. So a key that was sent, or is due at
        # another time, leaves an outdated entry in the heap. `_due` holds the valid one.
        self._queue: list[tuple[float, int, K]] = []
        self._serial = 0

    @property
    def next_due(self) -> float | None:
        """Time at which the next value is due; None if nothing is held back."""
        # Outdated entries are removed only when they come first, each once.
        while self._queue:
            due, _, key = self._queue[0]
            if key in self._held_back and self._due.get(key) == due:
                return due
            heappop(self._queue)
            if self._due.get(key) == due:
                del self._due[key]
        return None

    def is_due(self, key: K, interval: float, now: float) -> bool:
        """Return whether an interval is over since the key was sent."""
        sent_at = self._sent_at.get(key)
        return sent_at is None or sent_at + interval <= now

    def try_send(self, key: K, interval: float, now: float) -> bool:
        """Return whether the key :meth:`is_due`; then record that it is sent now."""
        # `is_due` is written out here: this is called for each progress that is read.
        sent_at = self._sent_at.get(key)
        if sent_at is not None and sent_at + interval > now:
            return False
        self.mark_sent(key, now)
        return True

    def hold_back(self, key: K, value: V, interval: float) -> None:
        """Hold a value back until its key :meth:`is_due`. It replaces an earlier one of the key."""
        self._held_back[key] = value
        # It was sent within the interval: else it would be due, and would not be held back.
        due = self._sent_at[key] + interval
        # Nearly always the key waits already, for the same time. Then the heap does not grow.
        if self._due.get(key) != due:
            self._due[key] = due
            # Keys do not compare. The serial keeps the heap from looking at them.
            self._serial += 1
            heappush(self._queue, (due, self._serial, key))

    def get(self, key: K) -> V | None:
        """Return the value that is held back of a key; None if there is none."""
        return self._held_back.get(key)

    def resume(self, key: K) -> V | None:
        """Return the value that is held back of a key, and hold it back no longer."""
        # The heap keeps its entry: it may be valid again when the next value is held back.
        return self._held_back.pop(key, None)

    def resume_all(self) -> dict[K, V]:
        """Return all values, and hold them back no longer, since the intervals have changed."""
        # Their entries in the heap are outdated now: `next_due` skips them.
        found, self._held_back = self._held_back, {}
        return found

    def take_due(self, now: float) -> dict[K, V]:
        """Return the values that are due, and hold them back no longer."""
        found: dict[K, V] = {}
        # `next_due` has removed the outdated entries, so the first one is valid.
        while (due := self.next_due) is not None and due <= now:
            key = heappop(self._queue)[2]
            del self._due[key]
            found[key] = self._held_back.pop(key)
        return found

    def mark_sent(self, key: K, now: float) -> None:
        """Record that progress of a key is sent now. A value that is held back is dropped."""
        self._held_back.pop(key, None)
        self._sent_at[key] = now
        if now >= self._purge_at:
            # Once an interval, so that each key is looked at about as often as it was sent.
            self._purge_at = now + self.max_interval
            oldest = now - self.max_interval
            self._sent_at = {one: at for one, at in self._sent_at.items() if at >= oldest}

    def held_back(self) -> list[K]:
        """Return the keys of all values that are held back."""
        return list(self._held_back)
