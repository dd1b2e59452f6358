"""Histograms of latencies: of deliveries, of reading the log, and of the event loop.

The latency of a delivery is from the time of an event to the write to its clients. One observation
covers a whole fan-out (:mod:`celery_wsprogress.sidecar.fan_out`): it is made when the last session
was written to, from the time of the oldest event. One observation for each session would cost more
than the delivery.

The two times come from two clocks. A worker's clock that is ahead makes latencies look shorter, but
never negative; one that is behind makes them look longer.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from typing import Final

from celery_wsprogress.sidecar.metrics import definitions

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
"""Upper bounds of the buckets, in seconds."""

MAX_LATENCY: Final = 3600.0
"""Seconds. A longer latency is the error of a clock, and counts as this one."""


class LatencyHistogram:
    """The latencies of one process.

    Runs in: the event loop.

    Args:
        name: The name of the metric.
    """

    def __init__(self, name: str = "delivery_delay_seconds") -> None:
        self._name = name
        self._counts = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0

    def observe_since(self, timestamp: float) -> None:
        """Count the latency of what has happened at a time, in epoch seconds."""
        self.observe(time.time() - timestamp)

    def observe(self, seconds: float) -> None:
        """Count a latency. A negative one counts as zero."""
        delay = min(max(seconds, 0.0), MAX_LATENCY)
        self._sum += delay
        self._counts[bisect_left(BOUNDS, delay)] += 1

    def samples(self) -> dict[str, float]:
        """Return the samples of the histogram for a report, its buckets cumulative."""
        found: dict[str, float] = {}
        so_far = 0
        for bound, count in zip((*BOUNDS, float("inf")), self._counts, strict=True):
            so_far += count
            found[definitions.labelled(f"{self._name}_bucket", le=_text(bound))] = so_far
        return {**found, f"{self._name}_sum": self._sum, f"{self._name}_count": so_far}


class Latencies:
    """The histograms of one process."""

    def __init__(self) -> None:
        self.delivery = LatencyHistogram()
        """From an event's own time to the write to its clients."""
        self.read = LatencyHistogram("read_lag_seconds")
        """From the broker to the hub."""
        self.loop = LatencyHistogram("loop_lag_seconds")
        """By how much a timer of the event loop was late."""


def _text(bound: float) -> str:
    return "+Inf" if bound == float("inf") else repr(bound)
