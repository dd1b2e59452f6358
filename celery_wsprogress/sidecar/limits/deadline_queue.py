"""Deadlines that are all the same time ahead, so that the oldest one is always the next.

Nothing is looked at before it is due, however many connections there are. Pure: ``now`` is seconds
of the monotonic clock.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class DeadlineQueue(Generic[T]):
    """Deadlines, in the order in which they end.

    Args:
        timeout: Seconds from the beginning to the deadline.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._deadlines: dict[T, float] = {}

    def __len__(self) -> int:
        return len(self._deadlines)

    def begin(self, one: T, now: float) -> None:
        """Set its deadline, in the place of one that it has."""
        self._deadlines.pop(one, None)
        self._deadlines[one] = now + self._timeout

    def discard(self, one: T) -> None:
        """Forget its deadline."""
        self._deadlines.pop(one, None)

    def take_due(self, now: float) -> list[T]:
        """Return those whose deadline has come, and forget it."""
        due: list[T] = []
        for one, deadline in self._deadlines.items():
            if deadline > now:
                break
            due.append(one)
        for one in due:
            del self._deadlines[one]
        return due
