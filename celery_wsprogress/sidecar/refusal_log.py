"""The log of what is refused: requests, handshakes, tokens, and connections that are closed for it.

A client that is refused gets the reason in its answer, but the operator sees only the log. Each
line names the address and, where it is known, the holder of the token. Whoever makes the sidecar
refuse cannot fill the log: of each kind some lines are written at once and then one in a while,
which says how many were left out.

Runs in: the event loop.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from celery_wsprogress.printable import escape_control
from celery_wsprogress.sidecar.limits.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

LINES_AT_ONCE: Final = 20
"""Lines of one kind that are written at once."""

LINE_INTERVAL: Final = 10.0
"""Seconds between two lines of one kind after that."""

MAX_LINE_LENGTH: Final = 500
"""Maximum number of characters of what is said of one refusal."""

MAX_SUBJECT_LENGTH: Final = 100
"""Maximum number of characters of a holder that are shown."""


class _Kind:
    """The lines of one kind."""

    __slots__ = ("at_once", "budget", "fields", "latest", "left_out")

    def __init__(self, kind: str, at_once: int) -> None:
        self.fields = {"refusal": kind, "client": ""}
        """For a log of JSON; see :mod:`celery_wsprogress.cli.log_format`."""
        self.at_once = at_once
        self.budget = Budget(1 / LINE_INTERVAL, at_once)
        self.left_out = 0
        self.latest = ""


class RefusalLog:
    """Writes a bounded number of lines of each kind.

    Args:
        clock: Gives monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: dict[tuple[str, int], _Kind] = {}

    def write(
        self,
        kind: str,
        text: str,
        *,
        client: str = "",
        level: int = logging.INFO,
        at_once: int = LINES_AT_ONCE,
    ) -> None:
        """Write a line, or count that it was left out.

        Args:
            kind: A word of ours, never one of a client: kinds are not forgotten.
            text: What was refused to whom, and why.
            client: The address of whom, for a log of JSON.
            level: Warning, if an operator may have to do something.
            at_once: Lines of this kind that are written at once.
        """
        found = self._kinds.setdefault((kind, level), _Kind(kind, at_once))
        found.latest = escape_control(text, MAX_LINE_LENGTH)
        found.fields["client"] = escape_control(client, MAX_SUBJECT_LENGTH)
        found.left_out += 1
        self._write_if_due(found, level)

    def write_left_out(self) -> None:
        """Write what was left out, where there is room again; to be called now and then."""
        for (_, level), found in self._kinds.items():
            if found.left_out:
                self._write_if_due(found, level)

    def _write_if_due(self, found: _Kind, level: int) -> None:
        now = self._clock()
        if found.budget.used(now) > found.at_once - 1:
            return
        found.budget.charge(1, now)
        more = found.left_out - 1
        suffix = f" ({more} more lines like this were left out)" if more else ""
        fields = {name: value for name, value in found.fields.items() if value}
        logger.log(level, "%s%s", found.latest, suffix, extra=fields)
        found.left_out = 0


def describe_client(address: str, subjects: frozenset[str] = frozenset()) -> str:
    """Return who a client is, for a line: its address, and whose tokens it holds.

    Args:
        address: Its address; empty where it is not known any more.
        subjects: The holders of its tokens (``sub``).
    """
    named = escape_control(address, MAX_SUBJECT_LENGTH) or "an unknown address"
    if not subjects:
        return named
    first, more = min(subjects), len(subjects) - 1
    others = f" and {more} more" if more else ""
    return f"{named} (sub {escape_control(first, MAX_SUBJECT_LENGTH)}{others})"
