"""Who was refused before the handshake, and the option that would let it in: a line for each.

A page or a proxy that is refused learns why, but it tells nobody; the operator reads the log.
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from celery_wsprogress.printable import clean

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

MOST: Final = 100
"""Names that are said within :data:`SPAN`; whoever asks may make up others without end."""

SPAN: Final = 3600.0
"""Seconds after which a name is said again, if it is still refused."""

_LONGEST: Final = 200
_NAME: Final = re.compile(r"[A-Za-z0-9.:/\[\]_-]+")
"""What may be pasted into a command line as it is."""


class Refused(NamedTuple):
    """Whom a request came from, or went to, that may not be."""

    what: str
    """What it is, as a person says it."""
    option: str
    """The option of ``serve`` that would let it in."""
    name: str
    """As the request has it; empty where it has none, or several."""


class Refusals:
    """Says each of those who are refused once, while they are few.

    Args:
        clock: Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._said: set[Refused] = set()

    def note(self, refused: Refused) -> None:
        """Write a line about it, unless there was one lately."""
        now = self._clock()
        if now - self._since > SPAN:
            self._since = now
            self._said.clear()
        if refused in self._said or len(self._said) >= MOST:
            return
        self._said.add(refused)
        logger.warning("%s", _line(refused))
        if len(self._said) == MOST:
            logger.warning("Many different names are refused; for an hour no more are said here")


def _line(refused: Refused) -> str:
    what, option, name = refused
    if not name:
        return f"Refused a request with no {what}, or more than one"
    line = f"Refused a request with the {what} {clean(name, _LONGEST)}"
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        return line
    return f"{line}; {option} {name} would let it in"
