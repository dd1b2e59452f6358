"""The outbox of a process: everything that its publisher writes to the broker, in order.

First the batch that could not be written before, then heartbeats that are due, then the queue,
which also gets the answers of lookups. The publisher calls it under its lock, except for the
functions that write.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from celery_wsprogress.brokers import MAX_BATCH_BYTES
from celery_wsprogress.brokers.batch_writer import Announcements, BatchWriter
from celery_wsprogress.worker.publishing.fork_gate import ForkGate
from celery_wsprogress.worker.publishing.heartbeats import HeartbeatSchedule
from celery_wsprogress.worker.publishing.lookups import LookupQueue
from celery_wsprogress.worker.publishing.queue import EventQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery_wsprogress.brokers import Writer
    from celery_wsprogress.settings import WorkerSettings
    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent


logger = logging.getLogger(__name__)

_ANNOUNCEMENTS: Final = Announcements(
    unreachable="Task events cannot reach %s and wait here until they can (%s)",
    reachable="Task events reach %s again",
    program_error=(
        "Task events cannot be written to %s: this is an error in a program, perhaps "
        "between versions that do not go together, and no outage"
    ),
)


class Outbox:
    """The queue, the lookups and the heartbeats of one process, and the writer of their batches.

    Args:
        settings: Intervals and the size of the queue.
        open_writer: Connects to the broker.
        broker: The broker's address for the log.
        secrets: The parts of the address that must not be logged.
        publish_answer: Takes the events of a lookup; called by its thread.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        open_writer: Callable[[], Writer],
        broker: str,
        secrets: Sequence[str],
        publish_answer: Callable[[Sequence[EncodedEvent]], None],
    ) -> None:
        self._broker = broker
        self._reported = False
        self.queue = EventQueue(
            settings.buffer_bytes, settings.event_interval, settings.progress_interval
        )
        self.lookups = LookupQueue(publish_answer)
        self.heartbeats = HeartbeatSchedule(settings.sign_interval)
        # OpenSSL holds locks during a handshake, which a forked child would inherit.
        self._opening = ForkGate()
        self.batches = BatchWriter(
            open_writer,
            broker,
            _ANNOUNCEMENTS,
            secrets,
            heartbeat_interval=settings.sign_interval,
            idle_timeout=settings.idle_time,
            opening=self._opening,
        )

    def __bool__(self) -> bool:
        """Return whether an event or a lookup waits; heartbeats do not count."""
        return bool(self.queue or self.batches.pending or self.lookups)

    def report_undelivered(self) -> None:
        """Log the number of events that wait, if any, once."""
        count = self.queue.count + self.batches.pending_events
        reported, self._reported = self._reported, True
        if count and not reported:
            logger.warning(
                "%d task events of this process were not delivered: %s %s",
                count,
                self._broker,
                "cannot be reached" if self.batches.broker_down else "does not answer in time",
            )

    def next_due(self, *, immediate: bool) -> float | None:
        """Return the time of the next write; None while there is nothing to write.

        Args:
            immediate: Do not rate-limit.
        """
        if self.batches.pending:
            return self.batches.retry_at
        event = self.queue.next_due(immediate=immediate)
        answer = self.lookups.next_due if self.lookups else None
        known = (event, self.heartbeats.due, answer)
        return min((due for due in known if due is not None), default=None)

    def prepare(self, now: float, *, immediate: bool) -> Callable[[], object] | None:
        """Prepare the next write.

        Args:
            now: Monotonic seconds.
            immediate: Do not rate-limit.

        Returns:
            The function that writes, to be called without the lock; None if nothing is due.
        """
        if not self.batches.pending:
            if self.heartbeats.is_due(now):
                return self._write_heartbeats
            if self.heartbeats.idle:
                self.heartbeats.schedule(now)
            self.queue.put(self.lookups.expire(now))
            room = MAX_BATCH_BYTES - self.batches.overhead
            events, confirm = self.queue.next_batch(now, room, immediate=immediate)
            if not events:
                return None
            self.batches.prepare(events, confirm=confirm)
        return self._write_batch

    def _write_batch(self) -> None:
        self.batches.flush(time.monotonic())

    def _write_heartbeats(self) -> None:
        """Write the heartbeats of all active runs."""
        timestamp, room = time.time(), MAX_BATCH_BYTES - self.batches.overhead
        for heartbeat in self.heartbeats.next(time.monotonic(), timestamp, room):
            self.batches.prepare(*heartbeat, confirm=False, perishable=True)
            if not self.batches.flush(time.monotonic()):
                # The other batches would be out of date when the broker is back.
                return
        self.heartbeats.mark_sent(timestamp)

    def close_gates(self, lookup_timeout: float, connect_timeout: float) -> None:
        """Wait for lookups and for opening a connection, and let none begin, before a fork."""
        self.lookups.gate.close(lookup_timeout)
        self._opening.close(connect_timeout)

    def open_gates(self) -> None:
        """Undo :meth:`close_gates`."""
        self._opening.open()
        self.lookups.gate.open()
