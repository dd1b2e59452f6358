"""How often progress becomes a line where lines cannot be rewritten. Pure: time is passed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    Event = Mapping[str, Any]


class ProgressPace:
    """Holds progress back that comes too soon after the line before, of each operation by itself.

    What is held is told when its time comes, or before whatever else comes of the operation: so the
    last progress before a pause and before the end is always told.

    Args:
        interval: Seconds between two lines of an operation.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._told_at: dict[str, float] = {}
        self._held: dict[str, Event] = {}

    def take(self, operation_id: str, event: Event, now: float) -> Event | None:
        """Return the progress if it is to be told now; else it is held, in place of the one before.

        Args:
            operation_id: What it is of.
            event: The progress.
            now: Seconds on any clock that never goes back.
        """
        told_at = self._told_at.get(operation_id)
        if told_at is not None and now - told_at < self._interval:
            self._held[operation_id] = event
            return None
        self._held.pop(operation_id, None)
        if self._interval > 0:
            self._told_at[operation_id] = now
        return event

    def flush(self, operation_id: str) -> Event | None:
        """Return the progress that is held of an operation, to be told now; None if there is none.

        What comes of it next is told at once.
        """
        self._told_at.pop(operation_id, None)
        return self._held.pop(operation_id, None)

    def due(self, now: float) -> list[Event]:
        """Return the progress whose time has come.

        Args:
            now: As in :meth:`take`.
        """
        ready = [one for one in self._held if now - self._told_at[one] >= self._interval]
        for one in ready:
            self._told_at[one] = now
        return [self._held.pop(one) for one in ready]
