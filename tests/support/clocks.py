"""A clock for a part of the product that runs in this process: what depends on it waits for nobody.

It takes the place of the module ``time`` in one module of the product::

    clock = Clock()
    monkeypatch.setattr(server, "time", clock)
    clock.ahead += 301  # five minutes have passed, as that module sees it
"""

from __future__ import annotations

import time


class Clock:
    """The functions of :mod:`time` that are used, by a clock of a test's own.

    Args:
        speed: Seconds that pass by it in a real one.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._began = time.time()
        self.ahead = 0.0
        """Seconds it was put forward."""
        self.asked = 0
        """How often it was asked for the time."""

    def time(self) -> float:
        """Seconds since the epoch."""
        self.asked += 1
        return self._began + (time.time() - self._began) * self._speed + self.ahead

    def monotonic(self) -> float:
        """That of the machine: what is measured by it is no part of a test."""
        return time.monotonic()
