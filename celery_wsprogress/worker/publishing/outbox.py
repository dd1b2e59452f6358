"""All that a process has to write to the log, and in which order.

First what could not be written before, then the heartbeats that are due, then what the queue holds.
Heartbeats are made when they are written; the answers to lookups come into the queue.

Not thread-safe, but for writing: the publisher calls the rest under its lock.
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
        broker: The broker, as it may be logged.
        secrets: What must not be logged of the broker's address.
        publish_answer: Takes the events of a lookup, from whichever thread.
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
        # OpenSSL holds locks of its own during a handshake.
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
        """Whether an event waits; heartbeats do not count."""
        return bool(self.queue or self.batches.pending or self.lookups)

    def report_undelivered(self) -> None:
        """Log, once, how many events wait, if any."""
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
        """When something is to be written; None while nothing is.

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
        """Prepare what is to be written next.

        Args:
            now: The time, by the clock of :func:`time.monotonic`.
            immediate: Do not rate-limit.

        Returns:
            What writes it, to be called without the lock; None where there is nothing.
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
        """Write those of all active runs."""
        timestamp, room = time.time(), MAX_BATCH_BYTES - self.batches.overhead
        for heartbeat in self.heartbeats.next(time.monotonic(), timestamp, room):
            self.batches.prepare(*heartbeat, confirm=False, perishable=True)
            if not self.batches.flush(time.monotonic()):
                # What is left of it would be out of date when the broker is back.
                return
        self.heartbeats.mark_sent(timestamp)

    def close_gates(self, lookup_timeout: float, connect_timeout: float) -> None:
        """Wait for what must not be cut in two by a fork, and let nothing of the kind begin."""
        self.lookups.gate.close(lookup_timeout)
        self._opening.close(connect_timeout)

    def open_gates(self) -> None:
        """Undo :meth:`close_gates`."""
        self._opening.open()
        self.lookups.gate.open()
