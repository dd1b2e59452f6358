"""What the sidecar itself writes to the log: its conclusions.

One thread, started by the first of them. Nothing is kept while the broker is away: who
concluded something looks again after a while, and concludes it again if it still holds.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from celery_wsprogress.brokers import MAX_BATCH_BYTES, open_writer
from celery_wsprogress.brokers.failure import (
    BrokerBlocked,
    describe,
    is_an_answer,
    is_program_error,
)
from celery_wsprogress.wire import encode_event, join_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery_wsprogress.brokers import BrokerAddress, Writer
    from celery_wsprogress.events import Event

logger = logging.getLogger(__name__)

MAX_WAITING: Final = 10_000
"""Conclusions that wait to be written; the oldest beyond them are left out."""

KEEP_ALIVE: Final = 1.0
"""Seconds between answers to the broker's heartbeats."""

IDLE: Final = 60.0
"""Seconds without a conclusion after which the connection is let go."""

STOP_TIMEOUT: Final = 2.0


class Appender:
    """Appends conclusions to the log.

    Args:
        address: Where the log is written to.
    """

    def __init__(self, address: BrokerAddress) -> None:
        self._address = address
        self._name = secrets.token_hex(4)
        self._counter = 1
        self._work = threading.Condition()
        self._waiting: deque[list[bytes]] = deque(maxlen=MAX_WAITING)
        self._stopping = False
        self._refused = False
        self._mentioned = False
        self._writer: Writer | None = None
        self._used_at = 0.0
        self._thread: threading.Thread | None = None

    def append(self, events: Sequence[Event]) -> None:
        """Have events written, side by side and in this order. Never waits."""
        with self._work:
            self._waiting.append([encode_event(event) for event in events])
            self._work.notify()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="wsprogress-append", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end the thread. Blocks for two seconds at the most."""
        with self._work:
            self._stopping = True
            self._work.notify()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT)

    # Called by the thread.

    def _run(self) -> None:
        while (events := self._next()) is not None:
            try:
                self._write(events)
            except Exception as exc:  # noqa: BLE001 - whatever the client library raises
                self._say_it_failed(exc)
                if isinstance(exc, BrokerBlocked):
                    self._used_at = time.monotonic()
                else:
                    self._let_go()
        self._let_go()

    def _say_it_failed(self, exc: Exception) -> None:
        if is_program_error(exc):
            self._mention_program_error(exc)
        # That the broker is away is said by who reads. That it takes nothing is known here only.
        level = logging.WARNING if is_an_answer(exc) and not self._refused else logging.DEBUG
        self._refused = self._refused or is_an_answer(exc)
        logger.log(
            level,
            "What this sidecar concludes of lost tasks cannot be written to the broker (%s)",
            describe(exc, self._address.secrets),
        )

    def _mention_program_error(self, exc: Exception) -> None:
        """Say once what is no outage."""
        if not self._mentioned:
            self._mentioned = True
            logger.error(
                "Conclusions cannot be written to the broker: this is an error in a program and no "
                "outage",
                exc_info=exc,
            )

    def _next(self) -> list[bytes] | None:
        """What goes into the next batch; nothing when it is time to rest; None at the end."""
        with self._work:
            self._work.wait_for(
                lambda: self._waiting or self._stopping,
                None if self._writer is None else KEEP_ALIVE,
            )
            if not self._waiting:
                return None if self._stopping else []
            events = self._waiting.popleft()
            while self._waiting and self._fits(events + self._waiting[0]):
                events += self._waiting.popleft()
            return events

    def _fits(self, events: Sequence[bytes]) -> bool:
        return len(self._batch(events)) <= MAX_BATCH_BYTES

    def _batch(self, events: Sequence[bytes]) -> bytes:
        return join_batch(self._name, self._counter, events, sent=time.time())

    def _write(self, events: list[bytes]) -> None:
        now = time.monotonic()
        if not events:
            self._rest(now)
            return
        if self._writer is None:
            self._writer = open_writer(self._address)
        self._writer.publish(self._batch(events), confirm=True)
        # Only now: one that was written though it seemed not to be makes the next one a repeat,
        # which costs it a second attempt; a counter left out would be a gap to every reader.
        self._counter += 1
        self._used_at = now

    def _rest(self, now: float) -> None:
        if self._writer is not None and now - self._used_at < IDLE:
            self._writer.keep_alive()
        else:
            self._let_go()

    def _let_go(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
