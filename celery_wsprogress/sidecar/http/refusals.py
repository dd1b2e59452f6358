"""Log refused host names and origins, each once, with the option that would allow it.

A page or a proxy that is refused gets the reason in its response, but the operator sees only the
log. :mod:`.request_handler` reports each refusal here.
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from celery_wsprogress.printable import escape_control

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

MAX_LOGGED: Final = 100
"""Names logged within :data:`REPEAT_INTERVAL`; a stranger can send any number of them."""

REPEAT_INTERVAL: Final = 3600.0
"""Seconds after which a name is logged again, if it is still refused."""

_WITHOUT_NAME: Final = frozenset({"--file-pages"})
"""Options that name nothing: they let in all that are refused for their sake."""
_MAX_NAME_LENGTH: Final = 200
_NAME: Final = re.compile(r"[A-Za-z0-9.:/\[\]_-]+")
"""A name that is safe to paste into a command line."""


class RefusedHeader(NamedTuple):
    """A ``Host`` or ``Origin`` that is not allowed."""

    what: str
    """``host name`` or ``origin``."""
    option: str
    """The option of ``serve`` that would allow it."""
    name: str
    """The name in the request; empty where the request has none, or several."""


class Refusals:
    """Logs each refused name once, up to :data:`MAX_LOGGED` names.

    Args:
        clock: Gives monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._logged: set[RefusedHeader | str] = set()

    def log_once(self, refused: RefusedHeader, address: str) -> None:
        """Log a refusal, unless the same one was logged lately.

        Args:
            refused: What is not allowed.
            address: Where the request came from.
        """
        self._log_once(refused, _describe(refused, address))

    def log_limit_once(self, setting: str, address: str) -> None:
        """Log that a limit on connections is reached, unless that was logged lately."""
        text = f"Refused a connection from {address}: wsprogress_{setting} is reached"
        self._log_once(setting, text)

    def _log_once(self, key: RefusedHeader | str, line: str) -> None:
        now = self._clock()
        if now - self._since > REPEAT_INTERVAL:
            self._since = now
            self._logged.clear()
        if key in self._logged or len(self._logged) >= MAX_LOGGED:
            return
        self._logged.add(key)
        logger.warning("%s", line)
        if len(self._logged) == MAX_LOGGED:
            logger.warning("Many different names are refused; for an hour no more are logged")


def _describe(refused: RefusedHeader, address: str) -> str:
    what, option, name = refused
    if not name:
        return f"Refused a request from {address} with no {what}, or more than one"
    shown = escape_control(name, _MAX_NAME_LENGTH)
    line = f"Refused a request from {address} with the {what} {shown}"
    if len(name) > _MAX_NAME_LENGTH or not _NAME.fullmatch(name):
        return line
    advice = option if option in _WITHOUT_NAME else f"{option} {name}"
    return f"{line}; {advice} would let it in"
