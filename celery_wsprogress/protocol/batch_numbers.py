"""Which batches of each writer were taken, by the numbers that the writer gives them.

A batch that was written twice is to be taken once. One that comes behind a later one is taken
all the same, as long as it is no more than :data:`WINDOW` behind: brokers exist that do not keep
the order.

Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum
from typing import Final

WINDOW: Final = 1_000
"""So many batches behind the newest of its writer one may be to be taken yet. Each writer costs
a bit for each of them at the most."""

MAX_WRITERS: Final = 10_000
"""Writers that are remembered; the one that was silent longest is forgotten."""

_ALL_MISSING: Final = (1 << WINDOW) - 1


class Arrival(Enum):
    """What a batch is to those of its writer that came before it."""

    NEXT = "next"
    AHEAD = "ahead"
    """Some before it are missing."""
    LATE = "late"
    """It was missing."""
    REPEAT = "repeat"
    """It has come already, or much too late to say."""


class BatchNumbers:
    """The numbers that were taken."""

    def __init__(self) -> None:
        self._writers: OrderedDict[str, tuple[int, int]] = OrderedDict()
        """The newest number of each writer; and of those before it which are missing, one bit
        each, the lowest for the one just before."""

    def take(self, writer: str, number: int) -> Arrival:
        """Take a batch; everything but a repeat is to be read."""
        known = self._writers.get(writer)
        if known is None:
            # Whoever begins to read in the middle has read none of those before.
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
