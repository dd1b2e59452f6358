"""How often one client wants to be told of progress.

A sidecar lets each operation say how far it is so many times a second to everyone
(:attr:`.Hub.progress_interval`). A client that draws less often may ask for less, for what it
subscribes to by id and for what it selects: then news of an operation that are nothing but
progress *rest* until it is time. Everything else is told at once, and what rests goes before it.

Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celery_wsprogress.history import History
    from celery_wsprogress.watch import Watch

    Cursor = int | Watch


class Pacing:
    """The pace of one session. Times are seconds of any one clock."""

    __slots__ = (
        "_due",
        "_interval_of",
        "_interval_of_selected",
        "_longest",
        "_number",
        "_order",
        "_resting",
        "_told_at",
    )

    def __init__(self) -> None:
        self._interval_of: dict[str, float] = {}
        self._interval_of_selected = 0.0
        self._longest = 0.0
        self._told_at: OrderedDict[History, float] = OrderedDict()
        self._resting: dict[History, Cursor] = {}
        self._due: dict[History, float] = {}
        """Of what rests; each has one entry for it in the heap :attr:`_order`, and maybe older
        ones of other times."""
        self._order: list[tuple[float, int, History]] = []
        self._number = 0

    @property
    def due(self) -> float | None:
        """When the next that rests is to be told; None where nothing rests."""
        while self._order:
            due, _, history = self._order[0]
            if history in self._resting and self._due.get(history) == due:
                return due
            heappop(self._order)
            if self._due.get(history) == due:
                del self._due[history]
        return None

    def keep(self, operation_id: str | None, interval: float) -> None:
        """Keep so many seconds between two progress frames of an operation.

        Args:
            operation_id: Of one that is watched by its id; None for all that are selected.
            interval: In seconds.
        """
        if operation_id is None:
            self._interval_of_selected = interval
        else:
            self._interval_of[operation_id] = interval
        self._longest = max(self._longest, interval)

    def rest(self, history: History, cursor: Cursor, now: float) -> bool:
        """Let the news behind a cursor rest, if it is not yet time for them.

        Returns:
            Whether they rest.
        """
        told_at = self._told_at.get(history)
        if told_at is None or not history.only_progress_after(cursor_of(cursor)):
            return False
        due = told_at + self._interval(history)
        if due <= now:
            return False
        self._resting[history] = cursor
        if self._due.get(history) != due:
            self._due[history] = due
            self._number += 1
            heappush(self._order, (due, self._number, history))
        return True

    def wake(self, history: History) -> Cursor | None:
        """The cursor of what rests of an operation, which rests no longer."""
        return self._resting.pop(history, None)

    def wake_all(self) -> dict[History, Cursor]:
        """What rests, which rests no longer: how long it is to rest may be something else now."""
        found, self._resting = self._resting, {}
        return found

    def wake_due(self, now: float) -> dict[History, Cursor]:
        """What has rested until now."""
        found: dict[History, Cursor] = {}
        while (due := self.due) is not None and due <= now:
            history = heappop(self._order)[2]
            del self._due[history]
            found[history] = self._resting.pop(history)
        return found

    def told(self, history: History, now: float) -> None:
        """Take note that the client is told now how far an operation is."""
        self._told_at[history] = now
        self._told_at.move_to_end(history)
        while next(iter(self._told_at.values())) + self._longest < now:
            self._told_at.popitem(last=False)

    def release(self, operation_id: str) -> None:
        """Let go of the pace that was asked for with an id."""
        self._interval_of.pop(operation_id, None)

    def drop(self, operation_id: str) -> None:
        """Let go of what rests of an operation."""
        for history in list(self._resting):
            if history.operation.operation_id == operation_id:
                del self._resting[history]

    def resting(self) -> set[str]:
        """The operations of which something rests."""
        return {history.operation.operation_id for history in self._resting}

    def _interval(self, history: History) -> float:
        return self._interval_of.get(history.operation.operation_id, self._interval_of_selected)


def cursor_of(cursor: Cursor) -> int:
    """The cursor itself, of whatever a session keeps of what it reads."""
    return cursor if isinstance(cursor, int) else cursor.cursor
