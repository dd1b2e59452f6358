"""When to come back after a connection ended: what its close code says.

Pure. Where it says nothing, a :class:`~celery_wsprogress.backoff.Backoff` says it.
"""

from __future__ import annotations

import json
from typing import Final

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
