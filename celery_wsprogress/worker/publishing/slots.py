"""Progress that waits to be sent: a slot keeps the newest value and no other."""

from __future__ import annotations

from math import inf


class ProgressSlot:
    """The state of one run's progress on its way to the queue. Only the queue changes it.

    The thread of the task schedules the slot, unless it is scheduled already: so a report that
    comes soon after another one costs neither a lock nor a system call.
    """

    __slots__ = ("due", "last_sent_at")

    def __init__(self) -> None:
        self.due: float | None = None
        """When progress is to be sent, by the clock of the queue; None where it is not
        scheduled."""
        self.last_sent_at = -inf
        """When progress was last sent, by the same clock."""
