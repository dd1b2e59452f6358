"""One clock for all times in a log: that of its broker, or else the sidecar's.

A caller, a worker and a sidecar each have a clock, and one of them may be an hour off. Each batch
says when its writer wrote it, and Redis when it took it; the difference is how far the writer's
clock is off, and every time in the batch is corrected by it before anything else sees it. It
follows from the log alone, so that every sidecar, also one that is restarted, shows the same.

Other brokers do not say when they took a batch. There the sidecar's own clock says it of what
comes while it waits, and what it knows of a writer's clock since then goes for what it reads
without having waited. What it reads when it starts keeps its writer's times.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, structs

from celery_wsprogress.protocol.events import LATEST, Status

if TYPE_CHECKING:
    from celery_wsprogress.protocol.batches import Batch
    from celery_wsprogress.protocol.events import Event

TOLERANCE: Final = 5.0
"""Seconds that a clock may be off, or a write may take, before times are corrected."""

MAX_WRITERS: Final = 10_000
"""Writers whose clocks are remembered; the one that was silent longest is forgotten."""


class Clocks:
    """How far the clocks of the writers are off."""

    def __init__(self) -> None:
        self._behind: OrderedDict[str, float] = OrderedDict()

    def correct(self, batch: Batch, written_at: float) -> Batch:
        """The batch with its times by the broker's clock.

        Args:
            batch: What was read.
            written_at: When the broker took it, by its clock; 0 where nobody knows.
        """
        if not batch.sent:
            return batch
        if written_at:
            behind = self._note(batch.writer, written_at - batch.sent)
        else:
            behind = self._behind.get(batch.writer, 0.0)
        if abs(behind) <= TOLERANCE:
            return batch
        events = [_moved(event, behind) for event in batch.events]
        return batch._replace(events=events, at=_in_range(batch.at + behind))

    def sent_at(self, batch: Batch) -> float:
        """When a batch was written, as far as its writer's clock is known; 0 where it says none."""
        return batch.sent and batch.sent + self._behind.get(batch.writer, 0.0)

    def _note(self, writer: str, behind: float) -> float:
        """How far this writer's clock is behind.

        A batch may be written by a process that is stopped in the middle, or go a long way: what
        the one before it says is as good then, and smaller. A clock that was set is believed
        from the second batch on.
        """
        before = self._behind.pop(writer, behind)
        self._behind[writer] = behind
        if len(self._behind) > MAX_WRITERS:
            self._behind.popitem(last=False)
        return min(before, behind)


def _moved(event: Event, seconds: float) -> Event:
    timestamp = _in_range(event.timestamp + seconds)
    if not isinstance(event, Status) or event.data.starts_at is UNSET:
        return structs.replace(event, timestamp=timestamp)
    starts_at = _in_range(event.data.starts_at + seconds)
    data = structs.replace(event.data, starts_at=starts_at)
    return structs.replace(event, timestamp=timestamp, data=data)


def _in_range(at: float) -> float:
    return min(max(at, 0.0), LATEST)
