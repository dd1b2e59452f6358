"""How long events take from where they happened to the sockets, as a histogram.

What is observed is a delivery (:mod:`.fan_out`), once, when its last watcher is written to, by
the oldest event that set it off: an observation a delivery would cost more than a delivery may.

The two times are of two clocks. A worker's that goes ahead makes delays that look shorter, and
none that is below nothing; one that is behind makes them look longer.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from celery_wsprogress.sidecar.metrics import definitions

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
"""Seconds. What is shown of each is how many delays were not longer."""

LONGEST: Final = 3600.0
"""Seconds that count for the sum, at the most: what is above is a clock, and no delay."""

_NAME: Final = "delivery_delay_seconds"


class LatencyHistogram:
    """The delays of one process.

    Runs in: the event loop.
    """

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """It took so long."""
        delay = min(max(seconds, 0.0), LONGEST)
        self._sum += delay
        self._counts[bisect_left(BOUNDS, delay)] += 1

    def figures(self) -> dict[str, float]:
        """The histogram, as figures of a report."""
        found: dict[str, float] = {}
        so_far = 0
        for bound, count in zip((*BOUNDS, float("inf")), self._counts, strict=True):
            so_far += count
            found[definitions.key(f"{_NAME}_bucket", le=_text(bound))] = so_far
        return {**found, f"{_NAME}_sum": self._sum, f"{_NAME}_count": so_far}


def _text(bound: float) -> str:
    return "+Inf" if bound == float("inf") else repr(bound)
