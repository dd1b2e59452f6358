"""The close codes of connections, and when a client connects again after each of them.

Codes below 4000 are those of RFC 6455, section 7.4.1, and of the IANA registry. Of the private
range the sidecar sends 4001 and 4008. A client does not come back after a code from 4500 to 4999.

Where a code says nothing about the time, :class:`~celery_wsprogress.backoff.Backoff` decides.

Pure.
"""

from __future__ import annotations

import json
from typing import Final

from celery_wsprogress.protocol.whole_numbers import parse_whole_number

UNSUPPORTED: Final = 1003
"""The peer sent a binary frame; frames are JSON text."""
LOST: Final = 1006
"""The connection ended without a close frame. Never sent."""
UNREADABLE: Final = 1007
"""The peer sent text that is not JSON."""
RESTARTING: Final = 1012
"""The sidecar stops. The reason is JSON: ``{"retry_ms": …}``, when the client is to come back."""
TRY_AGAIN_LATER: Final = 1013
"""The sidecar has no memory for the client's message now. The client comes back later."""
TOKEN_EXPIRED: Final = 4001
"""A token that the connection needs has expired or was revoked. The client comes back with a new
one."""
TOO_SLOW: Final = 4008
"""The client did not read fast enough and has missed events, or reads nothing at all."""

KNOWN: Final = frozenset(
    {1000, 1001, 1002, UNSUPPORTED, 1005, LOST, UNREADABLE, 1009, 1011, RESTARTING, TRY_AGAIN_LATER}
    | {TOKEN_EXPIRED, TOO_SLOW}
)
"""Codes that the metrics count one by one. Clients may send any others."""

NORMAL: Final = frozenset({1000, 1001, 1005, RESTARTING})
"""Codes of connections that are closed though nothing is wrong with them."""

UNAVAILABLE: Final = 503
"""HTTP status of a handshake that a sidecar refuses for now."""

_MAX_RETRY_DELAY: Final = 60.0
"""Seconds."""
_FINAL: Final = frozenset({UNSUPPORTED, UNREADABLE, 1008, 1009})


def is_final(code: int) -> bool:
    """Return whether a client must not connect again: it would be closed for the same reason."""
    return code in _FINAL or 4500 <= code <= 4999


def restart_delay(code: int, reason: str) -> float | None:
    """Return the delay, in seconds, that a restarting sidecar asks for; None if it names none."""
    if code != RESTARTING:
        return None
    try:
        asked = json.loads(reason)["retry_ms"]
        return _bounded(float(asked) / 1000)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def retry_after(status: int, header: str | None) -> float | None:
    """Return the delay, in seconds, that a refused handshake asks for; None if it names none.

    A sidecar refuses handshakes while it stops, and while it has not read its log yet.

    Args:
        status: HTTP status of the response.
        header: Its ``Retry-After``, in seconds.
    """
    if status != UNAVAILABLE or header is None:
        return None
    seconds = parse_whole_number(header.strip())
    return None if seconds is None else _bounded(float(seconds))


def _bounded(seconds: float) -> float:
    # In this order NaN, which `json.loads` accepts, becomes 0.
    return min(max(0.0, seconds), _MAX_RETRY_DELAY)
