"""How long to wait before something that failed is tried again.

Pure, but for the chance that is passed in.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

INITIAL_DELAY: Final = 0.5
"""Seconds the first wait lasts at the most."""

MAX_DELAY: Final = 20.0
"""Seconds any wait lasts at the most."""


class Backoff:
    """Waits that grow, with full jitter: those that lost a server together come back apart.

    There is no last wait: it is asked for as often as something fails.

    Args:
        chance: Gives a number from 0 to 1.
    """

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._limit = INITIAL_DELAY

    def next(self) -> float:
        """The seconds to wait now; the next wait may be twice as long."""
        limit, self._limit = self._limit, min(self._limit * 2, MAX_DELAY)
        return self._chance() * limit

    def reset(self) -> None:
        """Begin again with the shortest wait."""
        self._limit = INITIAL_DELAY
