"""Writing to many: those who have news are written to some at a time.

What an event sets off is a *wave* that goes through the sessions it woke. The beginning of a wave
is written at once. Where more than some have news the rest comes later, between everything else
that the event loop has to do; and where several waves are under way they take turns, so that an
operation with very many watchers delays neither the pings nor the watchers of another one.

A session is in one wave at the most: until it is written to nothing new wakes it, and then it gets
all that is there.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

from celery_wsprogress.sidecar.socket_writer import WRITE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from celery_wsprogress.history import History
    from celery_wsprogress.session import Session

logger = logging.getLogger(__name__)

AT_A_TIME: Final = 200
"""Sessions written to before others have their turn: some milliseconds."""


class Waves:
    """The waves that are under way.

    Runs in: the event loop.

    Args:
        observe: Told once a wave, when all of its sessions were written to, when it happened what
            set it off.
    """

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe
        self._waves: deque[tuple[Iterator[Session], float | None]] = deque()

    def begin(self, woken: Sequence[Session], since: float | None) -> None:
        """Write to the sessions that something woke.

        Args:
            woken: All of them.
            since: When that happened, epoch seconds; None of what waited on purpose.
        """
        _write(woken[:AT_A_TIME])
        if len(woken) > AT_A_TIME:
            self._waves.append((islice(woken, AT_A_TIME, None), since))
            if len(self._waves) == 1:
                asyncio.get_running_loop().call_soon(self._go_on)
        elif woken and since is not None:
            self._observe(since)

    def _go_on(self) -> None:
        wave, since = self._waves.popleft()
        some = list(islice(wave, AT_A_TIME))
        _write(some)
        if some:
            self._waves.append((wave, since))
        elif since is not None:
            self._observe(since)
        if self._waves:
            asyncio.get_running_loop().call_soon(self._go_on)


def _write(sessions: Iterable[Session]) -> None:
    """Write to each of them; what is the same for those in a row is worked out once."""
    news: History | None = None
    cursor, frames = 0, b""
    for session in sessions:
        try:
            if session.news is not news or session.cursor != cursor:
                news, cursor = session.news, session.cursor
                frames = b"" if news is None else news.all_after(cursor, WRITE_BYTES)
            if frames:
                session.outlet.pass_on(frames)
            else:
                session.outlet.flush()
        except Exception:
            # A fault of ours with one client must not keep from all others what is for them.
            logger.exception("A client could not be written to")
