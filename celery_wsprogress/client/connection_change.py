"""The changes of a client's connection that its user is told of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection was opened, and everything is subscribed again."""

    reconnected: bool
    """Whether this is not the first connection."""
    recovered: bool
    """Whether no event is lost: exactly those that were missing follow. If False, the sidecar
    cannot tell; what it still holds follows, without the events that were seen before."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection was lost, or an attempt to connect again failed."""

    code: int
    """The close code; 1006 without a close frame."""
    reason: str
    retry_in: float
    """Seconds until the next attempt."""


ConnectionChange: TypeAlias = Connected | Disconnected
