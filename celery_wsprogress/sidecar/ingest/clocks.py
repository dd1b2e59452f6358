"""Correction of timestamps: all events of a log by one clock, the broker's or else the sidecar's.

The clocks of a caller, a worker and a sidecar may differ by hours. Each batch carries the time at
which its writer sent it, and Redis adds the time at which it took it. The difference is the error
of the writer's clock, and every timestamp of the batch is corrected by it. It follows from the log
alone, so every sidecar shows the same, also after a restart.

Other brokers do not say when they took a batch. There the sidecar takes its own clock for batches
that arrive while it waits, and remembers the error for batches of that writer that it reads without
having waited. What it reads at its start keeps the writers' times.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, structs

from celery_wsprogress.protocol.events import LATEST, Status

if TYPE_CHECKING:
    from celery_wsprogress.protocol.batches import Batch
    from celery_wsprogress.protocol.events import LogEvent

TOLERANCE: Final = 5.0
"""Seconds of difference below which no time is corrected: clocks drift, and writing takes time."""

MAX_WRITERS: Final = 10_000
"""Writers whose clocks are remembered; the least recent one is evicted."""


class Clocks:
    """The errors of the writers' clocks. Runs in: the event loop."""

    def __init__(self) -> None:
        self._behind: OrderedDict[str, float] = OrderedDict()

    def correct(self, batch: Batch, written_at: float) -> Batch:
        """Return the batch with its times by the broker's clock.

        Args:
            batch: The batch as it was read.
            written_at: When the broker took it, epoch seconds by its clock; 0 if unknown.
        """
        if not batch.sent:
            return batch
        if written_at:
            behind = self._record(batch.writer, written_at - batch.sent)
        else:
            behind = self._behind.get(batch.writer, 0.0)
        if abs(behind) <= TOLERANCE:
            return batch
        events = [_moved(event, behind) for event in batch.events]
        return batch._replace(events=events, at=_in_range(batch.at + behind))

    def sent_at(self, batch: Batch) -> float:
        """Return when a batch was sent: epoch seconds by the corrected clock, 0 if unknown."""
        return batch.sent and batch.sent + self._behind.get(batch.writer, 0.0)

    def _record(self, writer: str, behind: float) -> float:
        """Return the seconds by which this writer's clock is behind.

        The smaller one of the last two differences: a batch whose writer was suspended while it
        wrote, or that travelled long, makes a difference that is too large. After a clock was set,
        the new difference holds from the second batch on.
        """
        before = self._behind.pop(writer, behind)
        self._behind[writer] = behind
        if len(self._behind) > MAX_WRITERS:
            self._behind.popitem(last=False)
        return min(before, behind)


def _moved(event: LogEvent, seconds: float) -> LogEvent:
    timestamp = _in_range(event.timestamp + seconds)
    if not isinstance(event, Status):
        return structs.replace(event, timestamp=timestamp)
    moved = {
        name: _in_range(at + seconds)
        for name in ("starts_at", "expires_at")
        if (at := getattr(event.data, name)) is not UNSET
    }
    data = structs.replace(event.data, **moved) if moved else event.data
    return structs.replace(event, timestamp=timestamp, data=data)


def _in_range(at: float) -> float:
    return min(max(at, 0.0), LATEST)
