"""Ctrl-C, SIGTERM and a closed terminal all mean: end everything."""

from __future__ import annotations

import signal
from typing import Any


class StopWanted(BaseException):
    """Somebody wants the demo to end."""


class Stopping:
    """Notes that somebody wants the demo to end. Made by the main thread, first of all."""

    def __init__(self) -> None:
        self.wanted = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, *_: Any) -> None:
        # Nothing else: a handler that raises may do so in the middle of anything.
        self.wanted = True

    def check(self) -> None:
        """Raise :class:`StopWanted` if it is."""
        if self.wanted:
            raise StopWanted
