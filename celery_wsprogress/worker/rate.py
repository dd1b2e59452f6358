"""How fast it goes and when it will be done, smoothed as tqdm does.

Pure: readings come in with their times.
"""

from __future__ import annotations

import math
from typing import Final

_SMOOTHING: Final = 0.3
"""Weight of the newest interval, as in tqdm."""


class _Average:
    """An exponential moving average that is not biased towards its start at zero."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._weight = 0.0

    def add(self, value: float) -> float:
        self._sum += _SMOOTHING * (value - self._sum)
        self._weight += _SMOOTHING * (1.0 - self._weight)
        return self._sum / self._weight


class RateEstimator:
    """Rate and time left of one run.

    A scale is what the positions are counted in: the total, or 1.0 for fractions. When it
    changes, or the position goes back, the estimate starts anew.
    """

    def __init__(self) -> None:
        self._restart(None)

    def _restart(self, scale: float | None) -> None:
        self._scale = scale
        self._at: tuple[float, float] | None = None
        self._steps = _Average()
        self._times = _Average()
        self._rate: float | None = None

    def add(
        self, at: float, position: float, scale: float | None
    ) -> tuple[float | None, float | None]:
        """Take a reading.

        Args:
            at: When it was taken, in seconds of a clock that nobody sets.
            position: How far the task was.
            scale: Where the end is, or None where nobody knows.

        Returns:
            Units a second and seconds left; None where there is nothing to go by yet.
        """
        if scale != self._scale or (self._at is not None and position < self._at[1]):
            self._restart(scale)
        before, self._at = self._at, (at, position)
        if before is not None:
            self._rate = self._smoothed(at - before[0], position - before[1])
        return self._rate, self._left(position)

    def _smoothed(self, seconds: float, steps: float) -> float | None:
        if seconds <= 0:
            return self._rate
        rate = self._steps.add(steps) / self._times.add(seconds)
        return rate if math.isfinite(rate) else None

    def _left(self, position: float) -> float | None:
        if self._scale is None or not self._rate:
            return None
        left = max(0.0, self._scale - position) / self._rate
        return left if math.isfinite(left) else None
