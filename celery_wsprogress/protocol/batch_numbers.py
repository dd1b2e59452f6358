"""The numbers of the batches that were read, for each writer, to recognize repeats and gaps.

A batch that a writer wrote twice is processed once. Some brokers do not keep the order, so a batch
that is late by up to :data:`WINDOW` batches is processed, too.

Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum
from typing import Final

WINDOW: Final = 1_000
"""Maximum number of batches by which a batch may be late. Each costs one bit per writer."""

MAX_WRITERS: Final = 10_000
"""Maximum number of writers; above it the one that was silent longest is dropped."""

_ALL_MISSING: Final = (1 << WINDOW) - 1


class Arrival(Enum):
    """The place of a batch among those of its writer that were read before."""

    NEXT = "next"
    AHEAD = "ahead"
    """After a gap: batches before it are missing."""
    LATE = "late"
    """Missing until now."""
    REPEAT = "repeat"
    """Read before, or late by more than :data:`WINDOW`."""


class BatchNumbers:
    """The numbers of all batches that were read."""

    def __init__(self) -> None:
        self._writers: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """By writer: its newest number, and a bit for each number before it that is missing. The
        lowest bit is that of the number just before."""

    def take(self, writer: str, number: int) -> Arrival:
        """Record a batch. The caller processes everything but a repeat."""
        known = self._writers.get(writer)
        if known is None:
            # A reader that begins in the middle of the log has read none of those before.
            arrival = Arrival.NEXT
            known = number, (1 << max(0, min(number - 1, WINDOW))) - 1
        else:
            newest, missing = known
            arrival, known = _take_another(newest, missing, number)
        self._writers[writer] = known
        self._writers.move_to_end(writer)
        if len(self._writers) > MAX_WRITERS:
            self._writers.popitem(last=False)
        return arrival


def _take_another(newest: int, missing: int, number: int) -> tuple[Arrival, tuple[int, int]]:
    ahead = number - newest
    if ahead > 0:
        skipped = (1 << min(ahead - 1, WINDOW)) - 1
        missing = (missing << min(ahead, WINDOW) | skipped) & _ALL_MISSING
        return Arrival.AHEAD if skipped else Arrival.NEXT, (number, missing)
    behind = newest - number
    bit = 1 << (behind - 1) if 0 < behind <= WINDOW else 0
    if missing & bit:
        return Arrival.LATE, (newest, missing ^ bit)
    return Arrival.REPEAT, (newest, missing)
