"""The log appender: a thread that writes the sidecar's own conclusions to the log.

The first conclusion starts it. Nothing is kept while the broker is down: the checker looks at the
run again after a while, and concludes the same if it still holds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from celery_wsprogress.brokers import MAX_BATCH_BYTES, open_writer
from celery_wsprogress.brokers.batch_writer import IDLE_TIMEOUT, Announcements, BatchWriter
from celery_wsprogress.protocol.batches import encode_event
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.protocol.events import Event

MAX_WAITING: Final = 10_000
"""Conclusions that wait to be written; beyond that the oldest are dropped."""

KEEP_ALIVE_INTERVAL: Final = 1.0
"""Seconds between answers to the broker's heartbeats."""

STOP_TIMEOUT: Final = 2.0

_ANNOUNCEMENTS: Final = Announcements(
    unreachable="What this sidecar concludes of lost tasks cannot be written to %s (%s)",
    program_error=(
        "What this sidecar concludes of lost tasks cannot be written to %s: this is an error in a "
        "program and no outage"
    ),
    # Whoever reads the log says that the broker is down.
    level=logging.DEBUG,
)


class LogAppender:
    """Appends conclusions to the log.

    Args:
        address: Where the log is written to.
        idle_timeout: Seconds after which a connection that nothing is written to is closed.
    """

    def __init__(self, address: BrokerAddress, idle_timeout: float = IDLE_TIMEOUT) -> None:
        self._batches = BatchWriter(
            partial(open_writer, address),
            masked(address.url),
            _ANNOUNCEMENTS,
            address.secrets,
            idle_timeout=idle_timeout,
        )
        self._work = threading.Condition()
        self._waiting: deque[list[bytes]] = deque(maxlen=MAX_WAITING)
        self._stopping = False
        self._thread: threading.Thread | None = None

    def append(self, events: Sequence[Event]) -> None:
        """Append events to one batch, in this order. Never blocks."""
        with self._work:
            self._waiting.append([encode_event(event) for event in events])
            self._work.notify()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="wsprogress-append", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end the thread. Blocks for :data:`STOP_TIMEOUT` at the most."""
        with self._work:
            self._stopping = True
            self._work.notify()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT)

    # Called by the thread.

    def _run(self) -> None:
        while (events := self._next()) is not None:
            if events:
                self._write(events)
            else:
                self._batches.tick(time.monotonic())
        self._batches.close()

    def _next(self) -> list[bytes] | None:
        """Return the encoded events of the next batch.

        Empty when it is time to look at the connection; None at the end.
        """
        with self._work:
            self._work.wait_for(
                lambda: self._waiting or self._stopping,
                KEEP_ALIVE_INTERVAL if self._batches.connected else None,
            )
            if not self._waiting:
                return None if self._stopping else []
            events = self._waiting.popleft()
            room = MAX_BATCH_BYTES - self._batches.overhead - _size(events)
            while self._waiting and _size(self._waiting[0]) <= room:
                room -= _size(self._waiting[0])
                events += self._waiting.popleft()
            return events

    def _write(self, events: list[bytes]) -> None:
        # An earlier batch of which only the number is left.
        if self._batches.flush(time.monotonic()):
            self._batches.prepare(events, confirm=True, perishable=True)
            if not self._batches.flush(time.monotonic()):
                # A connection that was idle may have gone: another one is opened.
                self._batches.flush(time.monotonic())


def _size(events: Sequence[bytes]) -> int:
    return sum(len(event) + 1 for event in events)
