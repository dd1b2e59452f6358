"""The delays between attempts to reconnect. Pure, but for the random numbers."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

INITIAL_DELAY: Final = 0.5
"""Maximum seconds of the first delay."""

MAX_DELAY: Final = 20.0
"""Maximum seconds of any delay."""


class Backoff:
    """Exponential delays with full jitter: clients that lost a server together spread out.

    Args:
        chance: Returns a random number from 0 to 1.
    """

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._limit = INITIAL_DELAY

    def next(self) -> float:
        """Return the next delay in seconds, and double the maximum of the one after it."""
        limit, self._limit = self._limit, min(self._limit * 2, MAX_DELAY)
        return self._chance() * limit

    def reset(self) -> None:
        """Return to the initial delay."""
        self._limit = INITIAL_DELAY
