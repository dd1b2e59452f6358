"""Write batches to the log: open a connection, number the batches, try again.

Worker and sidecar write with it, one thread at a time. No network error is raised here: a batch
that could not be written is kept and written again under its number, by which readers recognise a
repeat. A *perishable* batch (a heartbeat, or a conclusion of the sidecar) means nothing when the
broker is back. An empty batch is written in its place, so that no number is missing.
"""

from __future__ import annotations

import logging
import secrets
import time
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.backoff import Backoff
from celery_wsprogress.brokers.failure import (
    BrokerBlocked,
    OutageLog,
    describe,
    is_an_answer,
    is_program_error,
)
from celery_wsprogress.protocol import batches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from celery_wsprogress.brokers import Writer
    from celery_wsprogress.protocol.batches import RunKey

logger = logging.getLogger(__name__)

IDLE_TIMEOUT: Final = 60.0
"""Seconds without a batch after which the connection is closed, by default. Opening another one
costs some milliseconds, and a web process that rarely starts a task holds none."""

_ANY_TIME: Final = 1_735_734_005.123


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcements:
    """The log messages about the connection; ``%s`` is the broker, without its password."""

    unreachable: str
    program_error: str
    reachable: str = ""
    level: int = logging.WARNING
    """The level of ``unreachable`` while the broker is down. Its answers are logged as warnings."""


class BatchWriter:
    """Writes batches, one at a time.

    Args:
        open_writer: Connects to the broker, or raises.
        broker: The broker's name in log messages.
        announcements: The log messages.
        secrets_: Texts of the broker's address that must not be logged.
        backoff: The pauses while the broker is down.
        heartbeat_interval: Seconds between two heartbeats of this process; each batch states it.
        idle_timeout: Seconds without a batch after which the connection is closed.
        opening: Entered while a connection is opened.
    """

    def __init__(
        self,
        open_writer: Callable[[], Writer],
        broker: str,
        announcements: Announcements,
        secrets_: Sequence[str] = (),
        *,
        backoff: Backoff | None = None,
        heartbeat_interval: float = batches.DEFAULT_HEARTBEAT_INTERVAL,
        idle_timeout: float = IDLE_TIMEOUT,
        opening: AbstractContextManager[None] | None = None,
    ) -> None:
        self._open_writer = open_writer
        self._broker = broker
        self._announcements = announcements
        self._secrets = secrets_
        self.backoff = backoff or Backoff()
        """The pauses while the broker is down."""
        self._heartbeat_interval = heartbeat_interval
        self._idle_timeout = idle_timeout
        self._opening = opening or nullcontext()
        self._name = secrets.token_hex(4)
        self._counter = 0
        self._writer: Writer | None = None
        self._pending: Callable[..., bytes] | None = None
        self._confirm = False
        self._perishable = False
        self._failures = 0
        self._outage_log = OutageLog()
        self._logged_program_error = False
        # A later batch may have a number of more digits.
        self.overhead = len(self._batch(())(sent=_ANY_TIME)) + len(str(2**53))
        """Bytes of a batch besides its events."""
        self.last_write_at = -inf
        self.pending_events = 0
        """Events in the batch that could not be written yet."""
        self.retry_at = -inf
        """The monotonic time of the next attempt to write it."""

    @property
    def pending(self) -> bool:
        """Whether a batch could not be written yet."""
        return self._pending is not None

    @property
    def broker_down(self) -> bool:
        """Whether two attempts in a row have failed."""
        return self._failures > 1

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._writer is not None

    def prepare(
        self,
        events: Sequence[bytes],
        alive: Sequence[RunKey] = (),
        at: float = 0.0,
        *,
        confirm: bool,
        perishable: bool = False,
    ) -> None:
        """Make the next batch. Call it only while none is pending.

        Args:
            events: Encoded events.
            alive: The active runs, for a heartbeat.
            at: The time of the heartbeat, epoch seconds.
            confirm: Whether to wait until the broker has the batch.
            perishable: Whether the content is dropped when the broker is down.
        """
        self._counter += 1
        self._pending = self._batch(events, alive, at)
        self._confirm = confirm
        self._perishable = perishable
        self.pending_events = 0 if perishable else len(events)

    def _batch(self, *content: Any) -> Callable[..., bytes]:
        """Return a function that joins the batch with its time of writing, for clock skew."""
        every = self._heartbeat_interval
        return partial(batches.join_batch, self._name, self._counter, *content, every=every)

    def flush(self, now: float) -> bool:
        """Try to write the pending batch. Blocks as long as :meth:`.Writer.publish`.

        Args:
            now: Monotonic seconds.

        Returns:
            Whether it is written. If not, flush again at :attr:`retry_at`.
        """
        if self._pending is None:
            return True
        try:
            if self._writer is None:
                with self._opening:
                    self._writer = self._open_writer()
            self._writer.publish(self._pending(sent=time.time()), confirm=self._confirm)
        except Exception as exc:  # noqa: BLE001 - whatever the client library raises
            self._on_failure(now, exc)
            return False
        self._pending, self.pending_events = None, 0
        self._on_success(now)
        return True

    def tick(self, now: float) -> None:
        """Answer the broker's heartbeats, or close an idle connection. Call it once a second."""
        if self._writer is None:
            return
        if now - self.last_write_at >= self._idle_timeout and not self.pending:
            self.close()
            return
        try:
            self._writer.keep_alive()
        except BrokerBlocked:
            return
        except Exception as exc:  # noqa: BLE001 - whatever the client library raises
            # Nothing is lost yet: the next batch opens another connection, or logs why not.
            logger.debug("The connection to %s is gone: %s", self._broker, type(exc).__name__)
            self.close()

    def close(self) -> None:
        """Close the connection. A pending batch stays."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _on_success(self, now: float) -> None:
        if self.broker_down and self._announcements.reachable:
            logger.warning(self._announcements.reachable, self._broker)
        self._failures = 0
        self._outage_log.clear()
        self.backoff.reset()
        self.last_write_at = now

    def _on_failure(self, now: float, exc: Exception) -> None:
        if not isinstance(exc, BrokerBlocked):
            self.close()
        # The other end may have closed an idle connection: try again at once, and take only a
        # second failure for an outage.
        self._failures += 1
        self.retry_at = now
        if not self.broker_down:
            return
        self.retry_at += self.backoff.next()
        if self._perishable:
            # Its number is taken, and readers take a number that is missing for a loss. So an
            # empty batch is written in its place.
            self._pending, self._confirm = self._batch(()), False
        if is_program_error(exc):
            self._log_program_error(exc)
        elif self._outage_log.is_new(exc, reason := describe(exc, self._secrets)):
            level = logging.WARNING if is_an_answer(exc) else self._announcements.level
            logger.log(level, self._announcements.unreachable, self._broker, reason)

    def _log_program_error(self, exc: Exception) -> None:
        """Log an error once that is no outage."""
        if not self._logged_program_error:
            self._logged_program_error = True
            logger.error(self._announcements.program_error, self._broker, exc_info=exc)
