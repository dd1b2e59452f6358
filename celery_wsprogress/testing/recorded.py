"""What tasks have reported, in order."""

from __future__ import annotations

import threading
from typing import Any, Final

DIRECT: Final = "called-directly"
"""The id of everything that is reported by a task that is called as a function."""

ENDS: Final = frozenset({"completed", "error"})
"""The kinds of events that end an operation."""


class Recorded:
    """The events of tasks, as clients get them, in the order in which they were reported.

    Each is a dict with ``event_type``, ``operation_id``, ``timestamp`` and ``data`` (see *Wire
    protocol*). Every report is kept: no rate is limited. Any thread may read it.
    """

    def __init__(self) -> None:
        self._events: list[dict[str, Any]] = []
        self._changed = threading.Condition()

    def add(self, event: dict[str, Any]) -> None:
        """Append an event."""
        with self._changed:
            self._events.append(event)
            self._changed.notify_all()

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events."""
        with self._changed:
            return list(self._events)

    @property
    def operation_ids(self) -> list[str]:
        """The ids of the tasks, in the order in which they were first heard of."""
        return list(dict.fromkeys(event["operation_id"] for event in self.events))

    @property
    def progress(self) -> list[dict[str, Any]]:
        """The reports of progress: ``progress`` (0 to 1), ``message``, ``current`` and others."""
        return self._data_of("progress")

    @property
    def logs(self) -> list[dict[str, Any]]:
        """The log lines: ``level``, ``message`` and ``details``."""
        return self._data_of("log")

    @property
    def end(self) -> str | None:
        """How the last task ended: ``completed``, ``error`` or ``cancelled``; None if none has."""
        ends = [event["data"]["status"] for event in self.events if event["event_type"] in ENDS]
        return ends[-1] if ends else None

    def of(self, task: Any) -> Recorded:
        """Return the events of one task.

        Args:
            task: Its id, or a result of ``delay()`` or ``apply()``.
        """
        operation_id = str(getattr(task, "id", task))
        found = Recorded()
        found._events = [one for one in self.events if one["operation_id"] == operation_id]
        return found

    def wait_for_ends(self, timeout: float) -> list[str]:
        """Wait until every task has ended; return the ids of those that have not.

        A worker stores the result of a task before it publishes the task's end.

        Args:
            timeout: Seconds to wait.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._unended(), timeout)
            return self._unended()

    def _unended(self) -> list[str]:
        ids = dict.fromkeys(one["operation_id"] for one in self._events)
        ended = {one["operation_id"] for one in self._events if one["event_type"] in ENDS}
        return [one for one in ids if one not in ended and one != DIRECT]

    def _data_of(self, kind: str) -> list[dict[str, Any]]:
        return [event["data"] for event in self.events if event["event_type"] == kind]
