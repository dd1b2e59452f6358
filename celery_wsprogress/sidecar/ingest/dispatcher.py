"""From what was read to the hub: in the event loop, a bounded number of events at a time.

The ingest thread puts in what it read, and waits until it is to read on. The loop folds some of it,
has the connections written to that something is new for, and comes back for the rest, so that
neither a burst nor a long log keeps anybody's replies and pings waiting.

**What comes close together is joined.** After a pause in the log, what comes is read and written at
once. Then reading rests, the longer the more there was to do (:meth:`Dispatcher._rest`): what comes
meanwhile comes in one read and goes in one write to each client. So an idle sidecar adds no delay,
and a busy one spends its time on events and not on the round trips around them. A read that is
large shows that there is more, and is followed by the next one at once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from celery_wsprogress.errors import BatchVersionUnknown, MalformedBatch
from celery_wsprogress.protocol.batches import decode_batch
from celery_wsprogress.sidecar.ingest.clocks import Clocks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery_wsprogress.brokers import Entry
    from celery_wsprogress.hub.hub import Delivery, Hub
    from celery_wsprogress.protocol.batches import Batch

logger = logging.getLogger(__name__)

MIN_READ_DELAY: Final = 0.004
MAX_READ_DELAY: Final = 0.02
READ_DELAY_PER_EVENT: Final = 0.0002
"""Seconds between what was written and the next read."""

LARGE_READ_BYTES: Final = 100_000
"""Bytes in one read that show that there is more."""

MAX_EVENTS_PER_TICK: Final = 500
"""Events folded before the connections are written to. Below what a history holds, so that a
client that keeps up never falls off it."""

MAX_BYTES_PER_TICK: Final = 200_000
"""What these events may take in all, for the same reason; and not more than a connection writes
in its turn."""


MAX_BATCH_AGE: Final = 86_400.0
"""Seconds that a batch may have waited for a sidecar. Logs keep nothing longer; a queue without a
reader may, and its tasks are history by then, of which no end will come."""


@dataclass(slots=True)
class Read:
    """What one read of the log returned; see :class:`.log_reader.Deliver`."""

    epoch: str
    entries: deque[Entry]
    current: bool
    large: bool


class Dispatcher:
    """Folds what was read.

    Runs in: the event loop, but for :meth:`put`.

    Args:
        hub: What it is folded into.
        deliver: Writes what is new to those who are subscribed to it.
        note: Told of the position of each batch, and how many events it had.
        catch_up: Called when everything is folded that was in the log when the broker was reached.
    """

    def __init__(
        self,
        hub: Hub,
        deliver: Callable[[Sequence[Delivery]], None],
        note: Callable[[str, int], None],
        catch_up: Callable[[], None],
    ) -> None:
        self._hub = hub
        self._deliver = deliver
        self._note = note
        self._catch_up = catch_up
        self._read_permit = threading.Semaphore(0)
        self._reads: deque[Read] = deque()
        self._loop: asyncio.AbstractEventLoop
        self._closed = False
        self._waits = False
        """A look at late progress is due."""
        self._unreadable: set[str] = set()
        self._outdated = False
        self._clocks = Clocks()

    def start(self) -> None:
        """Take what is put in from now on."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Let go of whoever waits to put something in."""
        self._closed = True

    def put(self, epoch: str, entries: Sequence[Entry], *, current: bool) -> None:
        """Take what was read; a :class:`.log_reader.Deliver`. Runs in: the ingest thread."""
        large = sum(len(entry.batch) for entry in entries) >= LARGE_READ_BYTES
        read = Read(epoch, deque(entries), current, large)
        try:
            self._loop.call_soon_threadsafe(self._append, read)
        except RuntimeError:
            # The loop is closed already; nobody wants to know.
            return
        while not self._read_permit.acquire(timeout=1.0):
            if self._closed:
                return

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
        if read.large:
            self._read_permit.release()
        if len(self._reads) == 1:
            self._process_some()

    def _process_some(self) -> None:
        """Fold some of what was read and have it written; come back for the rest."""
        began = self._loop.time()
        folded = size = 0
        finished: list[Read] = []
        while self._reads and folded < MAX_EVENTS_PER_TICK and size < MAX_BYTES_PER_TICK:
            read = self._reads[0]
            if read.entries:
                entry = read.entries.popleft()
                size += len(entry.batch)
                folded += self._fold(read.epoch, entry)
            if not read.entries:
                finished.append(self._reads.popleft())
                if read.current:
                    self._catch_up()
        if self._reads:
            self._loop.call_soon(self._process_some)
        try:
            self._deliver(self._hub.take_deliveries())
        finally:
            # Whatever happens: without these nothing is read, or told, any more.
            self._schedule_flush()
            if not all(read.large for read in finished):
                self._rest(self._loop.time() - began, folded)

    def _schedule_flush(self) -> None:
        due = self._hub.next_due
        if due is not None and not self._waits:
            self._waits = True
            self._loop.call_later(max(0.0, due - time.monotonic()), self._release)

    def _release(self) -> None:
        self._waits = False
        try:
            self._hub.flush_due(time.monotonic())
            self._deliver(self._hub.take_deliveries())
        finally:
            self._schedule_flush()

    def _rest(self, worked: float, events: int) -> None:
        """Have the thread read on: after as long as the work took, or what the events are worth."""
        rest = max(MIN_READ_DELAY, worked, events * READ_DELAY_PER_EVENT)
        rest = min(rest, MAX_READ_DELAY)
        self._loop.call_later(rest, self._read_permit.release)

    def _fold(self, epoch: str, entry: Entry) -> int:
        """Fold a batch.

        Returns:
            How many events it had, and one at least.
        """
        position, now = entry.position, time.monotonic()
        try:
            batch = self._clocks.correct(decode_batch(entry.batch), entry.written_at)
            if self._waited_too_long(batch, entry):
                return 1
            self._hub.process_batch(batch, epoch=epoch, position=position, now=now)
        except (MalformedBatch, BatchVersionUnknown) as exc:
            self._count_unreadable(exc)
            return 1
        except Exception:
            # A fault of ours in one batch must not end the reading of all others.
            self._hub.counts["malformed"] += 1
            logger.exception("A batch could not be taken; it is left out")
            return 1
        self._note(position, len(batch.events))
        return len(batch.events) or 1

    def _waited_too_long(self, batch: Batch, entry: Entry) -> bool:
        sent_at = 0.0 if entry.written_at else self._clocks.sent_at(batch)
        if not sent_at or time.time() - sent_at <= MAX_BATCH_AGE:
            return False
        if not self._outdated:
            self._outdated = True
            logger.warning(
                "The broker holds events that are more than a day old, which waited for a sidecar; "
                "they are left out"
            )
        return True

    def _count_unreadable(self, exc: MalformedBatch | BatchVersionUnknown) -> None:
        self._hub.counts["malformed"] += 1
        what = str(exc) if isinstance(exc, BatchVersionUnknown) else "bytes that are no batch"
        if what not in self._unreadable and len(self._unreadable) < 10:
            self._unreadable.add(what)
            logger.warning("The broker holds something unreadable: %s; it is left out", what)
