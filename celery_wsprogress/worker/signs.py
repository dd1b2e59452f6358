"""Signs of life: a process that has runs says every few seconds that they go on.

A run that says nothing for a minute may be busy, or nobody may be there any more to say how it
ended. So whoever can tell vouches for the runs of this process: the worker's main process for
those of its pool (:mod:`.active`), and the process that owns operations for those. A child that
computes without ever letting go of Python's lock is silent for as long as it does, its parent is
not.

A run that is older than a minute is announced again, too, about once a minute: its ``started``
may have left the log, or the broker may have come back without its data.

Used by the flusher thread; :meth:`Signs.rouse` is called under the publisher's lock by any.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import msgspec

from celery_wsprogress.events import MAX_ID_LENGTH
from celery_wsprogress.worker.faults import log_fault

if TYPE_CHECKING:
    from celery_wsprogress.wire import RunName
    from celery_wsprogress.worker.reports import Report

logger = logging.getLogger(__name__)

ANNOUNCE_EVERY: Final = 60.0
"""Seconds after which a run is announced again."""

SHORTEST_INTERVAL: Final = 0.1
"""Seconds a process takes at least for one announcement, in the mean: of very many runs each
comes less often than once a minute."""

_ROOM_OF_SIGN: Final = 50
"""Bytes that ``alive`` and ``at`` have in a batch besides the names."""

_encode: Final = msgspec.json.Encoder().encode


class Going(NamedTuple):
    """A run that goes on in this process, or in a process of its pool."""

    operation_id: str
    run: str
    since: float
    """When it started, epoch seconds."""
    announce: Callable[[], Report]
    """Makes its ``started`` once more."""


Witness: TypeAlias = Callable[[], Sequence[Going] | None]
"""Names the runs that go on. None: there are none, and none begins before something is emitted.
Called by the flusher thread, without the publisher's lock."""


class Sign(NamedTuple):
    """What one batch says of runs that go on."""

    events: Sequence[bytes]
    alive: Sequence[RunName]
    at: float
    """When it was asked, epoch seconds."""


class Signs:
    """When the next sign is due, and what it says.

    Args:
        interval: Seconds between two signs.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._said_at: float | None = None
        self.witness: Witness | None = None
        self.due: float | None = None
        """By the clock of the publisher; None while there is nothing to vouch for."""

    @property
    def asleep(self) -> bool:
        """Whether there is a witness, and nothing to ask it."""
        return self.due is None and self.witness is not None

    def are_due(self, now: float) -> bool:
        """Whether to give a sign now."""
        return self.due is not None and self.due <= now

    def rouse(self, now: float) -> None:
        """Something was emitted: there may be runs to vouch for."""
        self.due = now + self._interval

    def take(self, now: float, at: float, room: int) -> Sequence[Sign]:
        """Ask the witness, and say when to ask it again.

        Args:
            now: The time, as that of :attr:`due`.
            at: The same in epoch seconds.
            room: Bytes that a batch may have besides the frame of its events.
        """
        # Before it is asked: what is emitted meanwhile may be of a run it did not see.
        self.due = None
        going = self.witness() if self.witness is not None else None
        if going is None:
            return ()
        self.rouse(now)
        return list(pack(going, self._overdue(going, at), at, room - _ROOM_OF_SIGN))

    def said(self, at: float) -> None:
        """The sign was written. Until that is said, its announcements are made again."""
        self._said_at = at

    def _overdue(self, going: Sequence[Going], at: float) -> Iterable[Report]:
        """The runs that have passed another full minute since the last sign."""
        every = max(ANNOUNCE_EVERY, SHORTEST_INTERVAL * len(going))
        before = at - self._interval if self._said_at is None else self._said_at
        for one in going:
            if (at - one.since) // every > max(0.0, (before - one.since) // every):
                yield from _announced(one)


def _announced(one: Going) -> Iterable[Report]:
    try:
        return (one.announce(),)
    except Exception as exc:  # noqa: BLE001 - whatever it is, it must not cost the others their sign
        sentence = f"Task events: run {one.run} cannot be announced again"
        log_fault(logger, logging.ERROR, sentence, exc)
        return ()


def pack(
    going: Sequence[Going], announcements: Iterable[Report], at: float, room: int
) -> Iterator[Sign]:
    """Fill batches with the names of runs and with announcements.

    Args:
        going: The runs to name. One whose name no reader takes is left out.
        announcements: What leaves with them.
        at: When they were found to go on.
        room: Bytes that names and announcements may have in one batch.
    """
    events: list[bytes] = []
    alive: list[RunName] = []
    left = room
    for event, name, size in _pieces(going, announcements):
        if size > left and (events or alive):
            yield Sign(events, alive, at)
            events, alive, left = [], [], room
        left -= size
        if name is None:
            events.append(event)
        else:
            alive.append(name)
    if events or alive:
        yield Sign(events, alive, at)


def _pieces(
    going: Sequence[Going], announcements: Iterable[Report]
) -> Iterator[tuple[bytes, RunName | None, int]]:
    """Each announcement or name, with its bytes and one for a comma."""
    for report in announcements:
        yield report.event, None, len(report.event) + 1
    for one in going:
        name = (one.operation_id, one.run)
        size = _size(name)
        if size and 0 < len(one.operation_id) <= MAX_ID_LENGTH:
            yield b"", name, size + 1


def _size(name: RunName) -> int:
    """Bytes of the name in a batch; 0 of one that cannot be written as UTF-8."""
    try:
        return len(_encode(name))
    except UnicodeError:
        return 0
