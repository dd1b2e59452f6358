"""From what was read to the hub: in the event loop, a bounded number of events at a time.

The ingest thread puts in what it read, and waits when it is too far ahead. The loop folds some of
it, has the touched connections write what their sessions have, and comes back for the rest, so
that neither a burst nor a long log keeps anybody's replies and pings waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from celery_wsprogress.errors import BatchVersionUnknown, MalformedBatch
from celery_wsprogress.wire import decode_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from celery_wsprogress.brokers import Entry
    from celery_wsprogress.hub import Hub
    from celery_wsprogress.session import Session

logger = logging.getLogger(__name__)

READS_IN_FLIGHT: Final = 2
"""Reads the ingest thread may be ahead of the loop."""

EVENTS_A_TURN: Final = 500
"""Events folded before the connections are written to. Below what a history holds, so that a
client that keeps up never falls off it."""

BYTES_A_TURN: Final = 200_000
"""What these events may take in all, for the same reason; and not more than a connection writes
in its turn."""


@dataclass(slots=True)
class Read:
    """What one read of the log returned; see :class:`.ingest.Deliver`."""

    epoch: str
    entries: deque[Entry]
    current: bool


class Intake:
    """Folds what was read.

    Runs in: the event loop, but for :meth:`put`.

    Args:
        hub: What it is folded into.
        flush: Has the connections of sessions write what these have.
        hear: Told when it happened what somebody watches, once a batch.
        note: Told of the position of each batch, and how many events it had.
        catch_up: Called when everything is folded that was in the log when the broker was reached.
    """

    def __init__(
        self,
        hub: Hub,
        flush: Callable[[Iterable[Session]], None],
        hear: Callable[[float], None],
        note: Callable[[str, int], None],
        catch_up: Callable[[], None],
    ) -> None:
        self._hub = hub
        self._flush = flush
        self._hear = hear
        self._note = note
        self._catch_up = catch_up
        self._room = threading.Semaphore(READS_IN_FLIGHT)
        self._reads: deque[Read] = deque()
        self._loop: asyncio.AbstractEventLoop
        self._closed = False
        self._unreadable: set[str] = set()

    def start(self) -> None:
        """Take what is put in from now on."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Let go of whoever waits to put something in."""
        self._closed = True

    def put(self, epoch: str, entries: Sequence[Entry], *, current: bool) -> None:
        """Take what was read; a :class:`.ingest.Deliver`. Runs in: the ingest thread."""
        while not self._room.acquire(timeout=1.0):
            if self._closed:
                return
        # The loop may be closed already; then nobody wants to know.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._append, Read(epoch, deque(entries), current))

    async def settle(self, seconds: float) -> None:
        """Wait until what was put in by now is folded, for so long at the most."""
        deadline = self._loop.time() + seconds
        newest = self._reads[-1] if self._reads else None
        while any(one is newest for one in self._reads):
            if self._loop.time() > deadline:
                return
            await asyncio.sleep(0)

    def _append(self, read: Read) -> None:
        self._reads.append(read)
        if len(self._reads) == 1:
            self._take_some()

    def _take_some(self) -> None:
        """Fold some of what was read and have it written; come back for the rest."""
        touched: set[Session] = set()
        folded = size = 0
        while self._reads and folded < EVENTS_A_TURN and size < BYTES_A_TURN:
            read = self._reads[0]
            if read.entries:
                entry = read.entries.popleft()
                size += len(entry.batch)
                folded += self._fold(read.epoch, entry, touched)
            if not read.entries:
                self._reads.popleft()
                self._room.release()
                if read.current:
                    self._catch_up()
        if self._reads:
            self._loop.call_soon(self._take_some)
        self._flush(touched)

    def _fold(self, epoch: str, entry: Entry, touched: set[Session]) -> int:
        """Fold a batch.

        Returns:
            How many events it had, and one at least.
        """
        position, now = entry.position, time.monotonic()
        try:
            batch = decode_batch(entry.batch)
            told = self._hub.accept(batch, epoch=epoch, position=position, now=now)
        except (MalformedBatch, BatchVersionUnknown) as exc:
            self._count_unreadable(exc)
            return 1
        except Exception:
            # A fault of ours in one batch must not end the reading of all others.
            self._hub.counts["malformed"] += 1
            logger.exception("A batch could not be taken; it is left out")
            return 1
        touched |= told
        if told and batch.events:
            self._hear(batch.events[0].timestamp)
        self._note(position, len(batch.events))
        return len(batch.events) or 1

    def _count_unreadable(self, exc: MalformedBatch | BatchVersionUnknown) -> None:
        self._hub.counts["malformed"] += 1
        what = str(exc) if isinstance(exc, BatchVersionUnknown) else "bytes that are no batch"
        if what not in self._unreadable and len(self._unreadable) < 10:
            self._unreadable.add(what)
            logger.warning("The broker holds something unreadable: %s; it is left out", what)
