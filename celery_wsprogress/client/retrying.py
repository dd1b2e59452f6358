"""When to come back after a connection ended: what a close code says, and a wait with jitter.

Pure, but for the chance that is passed in.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST: Final = 0.5
"""Seconds the first wait lasts at the most."""

LONGEST: Final = 20.0
"""Seconds any wait lasts at the most."""

UNAVAILABLE: Final = 503
LOST: Final = 1006
RESTARTING: Final = 1012
TOKEN_EXPIRED: Final = 4001

_LONGEST_ASKED: Final = 60.0
_FINAL: Final = frozenset({1003, 1007, 1008, 1009})


def is_final(code: int) -> bool:
    """Whether a client must not come back: it would be sent away for the same reason."""
    return code in _FINAL or 4500 <= code <= 4999


def restart_delay(code: int, reason: str) -> float | None:
    """Seconds after which a restarting sidecar wants its clients back; None if it does not say."""
    if code != RESTARTING:
        return None
    try:
        asked = json.loads(reason)["retry_ms"]
        return _bounded(float(asked) / 1000)
    except (ValueError, TypeError, KeyError):
        return None


def retry_after(status: int, header: str | None) -> float | None:
    """Seconds after which a sidecar that refuses a handshake for now wants to be asked again.

    It does while it stops, and while it has not yet read its log. None where it says nothing.
    """
    if status != UNAVAILABLE or header is None or not header.strip().isdecimal():
        return None
    return _bounded(float(header))


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), _LONGEST_ASKED)


class Backoff:
    """Waits that grow, with full jitter: clients that were lost together come back apart.

    Args:
        chance: Gives a number from 0 to 1.
    """

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._most = SHORTEST

    def next(self) -> float:
        """The seconds to wait now; the next wait may be twice as long."""
        most, self._most = self._most, min(self._most * 2, LONGEST)
        return self._chance() * most

    def reset(self) -> None:
        """Begin again with the shortest wait."""
        self._most = SHORTEST
