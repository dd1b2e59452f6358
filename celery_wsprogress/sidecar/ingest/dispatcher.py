"""The dispatcher: it takes what was read from the log into the hub, in the event loop.

The thread of the log reader submits each read and waits for the permit to read on. The loop
processes a bounded number of events, hands the deliveries to the fan-out, and schedules itself for
the others, so neither a burst nor a long log delays replies and pings.

Reads that follow each other closely are joined. After a pause the first events are read and sent
at once. Then the next read is delayed by 4 to 20 ms, the longer the more there was to do
(:meth:`Dispatcher._schedule_next_read`), and whatever was written meanwhile comes in one read and
goes in one write to each client. An idle sidecar thus adds no delay, and a busy one spends its time
on events and not on round trips. A large read means that the log holds more: the next one follows
without a delay.
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

    from celery_wsprogress.brokers import LogEntry
    from celery_wsprogress.hub.deliveries import Delivery
    from celery_wsprogress.hub.hub import Hub
    from celery_wsprogress.protocol.batches import Batch
    from celery_wsprogress.sidecar.ingest.log_reader import BrokerStatus
    from celery_wsprogress.sidecar.ingest.startup_replay import StartupReplay

logger = logging.getLogger(__name__)

MIN_READ_DELAY: Final = 0.004
MAX_READ_DELAY: Final = 0.02
READ_DELAY_PER_EVENT: Final = 0.0002
"""Seconds between a read that was processed and the next one: see
:meth:`Dispatcher._schedule_next_read`."""

LARGE_READ_BYTES: Final = 100_000
"""Bytes of one read from which on the log is taken to hold more."""

MAX_EVENTS_PER_TICK: Final = 500
"""Events processed before the fan-out runs. Fewer than a history holds, so a client that keeps up
misses none."""

MAX_BYTES_PER_TICK: Final = 200_000
"""Bytes of their batches, for the same reason; no more than a connection writes in its turn."""

MAX_BATCH_AGE: Final = 86_400.0
"""Seconds that a batch may have waited for a sidecar. No log keeps one longer, but a queue without
a reader does; the ends of its tasks may never have been written."""


@dataclass(slots=True)
class ReadResult:
    """One read of the log; see :class:`.log_reader.Deliver`."""

    epoch: str
    entries: deque[LogEntry]
    caught_up: bool
    """Everything was read that was in the log when the broker was reached."""
    more: bool
    """The log is taken to hold more."""


class Dispatcher:
    """Takes reads into the hub.

    Runs in: the event loop, but for :meth:`submit`.

    Args:
        hub: Processes the batches.
        deliver: Sends deliveries to the sessions that are subscribed.
        broker: The state of the connection to the broker.
        startup_replay: Advanced by each batch, until the log was read for the first time.
        on_caught_up: Called when everything is processed that was in the log when the broker was
            reached.
        observe_lag: Called once for each read, with the seconds since the broker took the last of
            its batches, where it says when that was; not while the log is read at the start.
    """

    def __init__(
        self,
        hub: Hub,
        deliver: Callable[[Sequence[Delivery]], None],
        broker: BrokerStatus,
        startup_replay: StartupReplay,
        on_caught_up: Callable[[], None],
        *,
        observe_lag: Callable[[float], None],
    ) -> None:
        self._hub = hub
        self._deliver = deliver
        self._broker = broker
        self._startup_replay = startup_replay
        self._on_caught_up = on_caught_up
        self._observe_lag = observe_lag
        self._read_permit = threading.Semaphore(0)
        self._reads: deque[ReadResult] = deque()
        self._loop: asyncio.AbstractEventLoop
        self._closed = False
        self._flush_scheduled = False
        """A flush of held-back progress is scheduled."""
        self._unreadable: set[str] = set()
        self._outdated = False
        self._clocks = Clocks()

    def start(self) -> None:
        """Accept reads from now on."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Release a thread that waits in :meth:`submit`, within a second."""
        self._closed = True

    def submit(self, epoch: str, entries: Sequence[LogEntry], *, caught_up: bool) -> None:
        """Submit a read, and wait for the permit to read on; a :class:`.log_reader.Deliver`.

        Runs in: the thread of the log reader.
        """
        more = sum(len(entry.batch) for entry in entries) >= LARGE_READ_BYTES
        read = ReadResult(epoch, deque(entries), caught_up, more)
        try:
            self._loop.call_soon_threadsafe(self._append, read)
        except RuntimeError:
            # The loop is closed: the process ends, and the thread with it.
            return
        # With a timeout, since nothing is released any more once the sidecar has been closed.
        while not self._read_permit.acquire(timeout=1.0):
            if self._closed:
                return

    async def drain(self, seconds: float) -> None:
        """Wait until everything that was submitted is processed, ``seconds`` at the most."""
        deadline = self._loop.time() + seconds
        newest = self._reads[-1] if self._reads else None
        while any(one is newest for one in self._reads):
            if self._loop.time() > deadline:
                return
            await asyncio.sleep(0)

    def _append(self, read: ReadResult) -> None:
        self._reads.append(read)
        if read.more:
            # The next read comes from the broker while this one is processed.
            self._read_permit.release()
        # With more of them a call of `_process_some` is scheduled already.
        if len(self._reads) == 1:
            self._process_some()

    def _process_some(self) -> None:
        """Process some batches and deliver them; schedule the next turn while there are more."""
        # Both limits count whole batches, so a turn may go beyond them by one batch.
        began = self._loop.time()
        processed = size = 0
        finished: list[ReadResult] = []
        while self._reads and processed < MAX_EVENTS_PER_TICK and size < MAX_BYTES_PER_TICK:
            read = self._reads[0]
            if read.entries:
                entry = read.entries.popleft()
                size += len(entry.batch)
                processed += self._process(read.epoch, entry)
                if not read.entries and entry.written_at and self._startup_replay.done:
                    self._observe_lag(time.time() - entry.written_at)
            if not read.entries:
                finished.append(self._reads.popleft())
                # Behind its batches: a handshake that waits sees all of them.
                if read.caught_up:
                    self._startup_replay.complete()
                    self._on_caught_up()
        self._hub.counts["bytes"] += size
        if self._reads:
            # Behind whatever is ready by now: pings, commands and other fan-outs have their turn.
            self._loop.call_soon(self._process_some)
        try:
            self._deliver(self._hub.take_deliveries())
        finally:
            # Also after an error: without these two nothing is read or sent any more.
            self._schedule_flush()
            # A large read has got its permit in `_append`; a turn without a finished read gives
            # none, since `all` of nothing is true.
            if not all(read.more for read in finished):
                self._schedule_next_read(self._loop.time() - began, processed)

    def _schedule_flush(self) -> None:
        due = self._hub.next_due
        if due is not None and not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_later(max(0.0, due - time.monotonic()), self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        try:
            self._hub.flush_due(time.monotonic())
            self._deliver(self._hub.take_deliveries())
        finally:
            self._schedule_flush()

    def _schedule_next_read(self, worked: float, events: int) -> None:
        """Permit the next read after a delay.

        Args:
            worked: Seconds that this turn took.
            events: How many it processed.
        """
        # At least as long as the work took, which leaves the loop free for as long (up to the
        # maximum). Busy logs are read in larger pieces: 100 events ask for the maximum.
        delay = max(MIN_READ_DELAY, worked, events * READ_DELAY_PER_EVENT)
        delay = min(delay, MAX_READ_DELAY)
        self._loop.call_later(delay, self._read_permit.release)

    def _process(self, epoch: str, entry: LogEntry) -> int:
        """Decode a batch and have the hub process it.

        Returns:
            Its number of events; 1 for a batch without any, which takes time as well.
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
            # A defect that one batch meets must not stop the reading of all others.
            self._hub.counts["malformed"] += 1
            logger.exception("A batch could not be taken; it is left out")
            return 1
        if not self._startup_replay.done:
            self._startup_replay.advance(position, self._broker.end, len(batch.events))
        return len(batch.events) or 1

    def _waited_too_long(self, batch: Batch, entry: LogEntry) -> bool:
        # A broker that says when it took a batch is a log, which drops what is old itself.
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
