"""Rate and time left, smoothed as in tqdm 4 (``tqdm/std.py``, ``EMA``).

Pure: the caller passes the time. Used by :class:`.ProgressSlot`, once for each event it sends.
"""

from __future__ import annotations

import math
from typing import Final

_SMOOTHING: Final = 0.3
"""Weight of the newest interval, 0 to 1."""


class _Average:
    """An exponential moving average without the bias of its start at zero."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._weight = 0.0

    def add(self, value: float) -> float:
        self._sum += _SMOOTHING * (value - self._sum)
        self._weight += _SMOOTHING * (1.0 - self._weight)
        return self._sum / self._weight


class RateEstimator:
    """Estimates the rate and the time left of one run.

    It starts again when the total changes or the position goes back.
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
        """Add a position.

        Args:
            at: Its time, monotonic seconds.
            position: The units done, or a fraction.
            scale: The total, 1.0 for fractions; None if it is not known.

        Returns:
            Units per second and seconds left, each None while it is not known.
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
