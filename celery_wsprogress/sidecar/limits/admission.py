"""Which connections may be open: limits in all, of an address, of a holder, on unfinished requests.

A connection begins with a request that is not finished: bytes of an HTTP head, an answer that is
not taken, or a handshake. If there are too many, the address that has most of them loses its
oldest one. So a flood from some addresses takes no place away from others, and of one address it is
who does not go on that loses his place: a health check takes milliseconds. A WebSocket counts as
open from its handshake on; over a limit the handshake gets 503. From its first valid token on it
counts for who holds that token.

Pure: ``now`` is seconds of the monotonic clock.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Final, Protocol

from celery_wsprogress.access.held_grants import NOBODY

REQUEST_TIMEOUT: Final = 5.0
"""Seconds that a client has to send the whole head of its request."""

REASONS: Final = {
    "head": "its head is too large",
    "malformed": "it is no HTTP",
    "unfinished": "too many requests are not finished",
    "timeout": "its head did not come in time",
}
"""What the log says of a request that is refused, by the limit."""


class Droppable(Protocol):
    """A connection."""

    def drop(self, limit: str) -> None:
        """Close it at once, because of a limit."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Maximum numbers of open connections."""

    total: int
    per_address: int
    per_subject: int
    unfinished: int = 500
    """Connections that are not WebSockets yet."""


class Admission:
    """The connections of a sidecar by their addresses.

    Args:
        limits: The limits.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self.refused: Counter[str] = Counter()
        """Connections that were refused, by the limit: ``connections``, ``address``,
        ``subject``, ``unfinished``, ``timeout``; ``head`` and ``malformed`` are requests whose head
        is too large, or none; ``tls`` are handshakes of TLS that fail; ``host``, ``origin`` and
        ``token`` are requests without the right."""
        self._deadlines: dict[str, dict[Droppable, float]] = {}
        """The unfinished requests by address, oldest first, with the time for their heads."""
        self._unfinished: dict[Droppable, str] = {}
        self._open: dict[Droppable, str] = {}
        self._open_by_address: Counter[str] = Counter()
        self._subjects: dict[Droppable, frozenset[str]] = {}
        self._open_by_subject: Counter[str] = Counter()

    @property
    def unfinished(self) -> int:
        """Number of connections that are not WebSockets yet."""
        return len(self._unfinished)

    def begin(self, one: Droppable, address: str, now: float) -> None:
        """Add a new connection. If there are too many, close one."""
        self._unfinished[one] = address
        self._deadlines.setdefault(address, {})[one] = now + REQUEST_TIMEOUT
        if len(self._unfinished) > self.limits.unfinished:
            most = max(self._deadlines.values(), key=len)
            self._drop(next(iter(most)), "unfinished")

    def end_head(self, one: Droppable) -> None:
        """Record that the head of its request was read: it has no deadline any more."""
        address = self._unfinished.get(one)
        if address is not None:
            self._deadlines[address][one] = math.inf

    def admit(self, one: Droppable, address: str) -> str | None:
        """Open a WebSocket, if that is allowed.

        Args:
            one: The connection.
            address: The key of the client's address, which may be behind a proxy.

        Returns:
            The limit that does not allow it; None if it is open now.
        """
        limit = self._exceeded(address)
        if limit is not None:
            self.refused[limit] += 1
            return limit
        self._end_request(one)
        self._open[one] = address
        self._open_by_address[address] += 1
        return None

    def _exceeded(self, address: str) -> str | None:
        if len(self._open) >= self.limits.total:
            return "connections"
        return "address" if self._open_by_address[address] >= self.limits.per_address else None

    def hold_subjects(self, one: Droppable, subjects: frozenset[str]) -> bool:
        """Count an open WebSocket for those who hold its tokens now, and for nobody else.

        Returns:
            False if one of them has too many already. Then nothing has changed.
        """
        before = self._subjects.get(one, NOBODY)
        # A connection that is closed counts no more, whatever it has begun.
        if subjects is before or one not in self._open:
            return True
        added, limit = subjects - before, self.limits.per_subject
        if any(self._open_by_subject[subject] >= limit for subject in added):
            self.refused["subject"] += 1
            return False
        self._open_by_subject.update(added)
        for subject in before - subjects:
            _discount(self._open_by_subject, subject)
        self._subjects[one] = subjects
        return True

    def end(self, one: Droppable) -> None:
        """Remove a connection that is closed."""
        self._end_request(one)
        address = self._open.pop(one, None)
        if address is not None:
            _discount(self._open_by_address, address)
        for subject in self._subjects.pop(one, NOBODY):
            _discount(self._open_by_subject, subject)

    def drop_late(self, now: float) -> None:
        """Close the connections that have not sent their whole head in time."""
        late = [
            one
            for deadlines in self._deadlines.values()
            for one, deadline in deadlines.items()
            if deadline <= now
        ]
        for one in late:
            self._drop(one, "timeout")

    def _drop(self, one: Droppable, limit: str) -> None:
        self.refused[limit] += 1
        self._end_request(one)
        one.drop(limit)

    def _end_request(self, one: Droppable) -> None:
        address = self._unfinished.pop(one, None)
        if address is not None:
            del self._deadlines[address][one]
            if not self._deadlines[address]:
                del self._deadlines[address]


def _discount(counts: Counter[str], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
