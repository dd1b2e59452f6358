"""The end of tokens: what only an expired token granted is not sent any more.

From the end of a token on, a session writes nothing (:attr:`.Session.valid_until`) until it was
checked what the other tokens of the connection still grant. A timer does that at once, and the
sweep does it where the clock of the machine was set forward.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.hub.session import Session

MAX_TIMER: Final = 86_400.0
"""Maximum seconds of a timer: event loops differ in what they take."""


class TokenExpiry:
    """The timers of all sessions that hold tokens.

    Args:
        on_end: Called with a session when a token of it has ended and was dropped.
    """

    def __init__(self, on_end: Callable[[Session], None]) -> None:
        self._on_end = on_end
        self._timers: dict[Session, asyncio.TimerHandle] = {}

    def watch(self, session: Session) -> None:
        """Set the timer of a session, after every change of its tokens."""
        end = session.permit.earliest_end
        if end != session.valid_until:
            session.valid_until = end
            self.forget(session)
            self._set_timer(session)

    def forget(self, session: Session) -> None:
        """Remove the timer of a session whose connection has ended."""
        timer = self._timers.pop(session, None)
        if timer is not None:
            timer.cancel()

    def check(self, session: Session) -> None:
        """Drop the tokens of a session that have ended."""
        self.forget(session)
        ended = session.permit.drop_ended(time.time())
        session.valid_until = session.permit.earliest_end
        self._set_timer(session)
        if ended:
            self._on_end(session)

    def _set_timer(self, session: Session) -> None:
        if session.valid_until < math.inf:
            delay = min(max(0.0, session.valid_until - time.time()), MAX_TIMER)
            loop = asyncio.get_running_loop()
            self._timers[session] = loop.call_later(delay, self.check, session)
