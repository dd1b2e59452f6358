"""The line from a process to its broker: a writer that is opened, lost and opened again.

Used by one thread, the flusher's. What the network does is never an exception here: a batch
that could not be written is kept and written again, with the same counter, by which readers
know a repeat. Only a sign of life is not kept while the broker is away, for it would be no sign
any more when it arrives: its batch is written empty, so that no number is missing.

What is logged of a failure says :mod:`celery_wsprogress.brokers.failure`, without a password.
"""

from __future__ import annotations

import logging
import secrets
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress import wire
from celery_wsprogress.backoff import Backoff
from celery_wsprogress.brokers.failure import (
    BrokerBlocked,
    Reasons,
    describe,
    is_program_error,
)
from celery_wsprogress.worker.section import Section

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery_wsprogress.brokers import Writer
    from celery_wsprogress.worker.signs import Sign

logger = logging.getLogger(__name__)

#: Seconds without a batch after which the connection is let go, if nothing else is said. Opening
#: another one costs the flusher some milliseconds; a web process that starts a task now and then
#: holds none, and is not woken once a second to keep one alive.
IDLE: Final = 60.0


_SOME_TIME: Final = 1_735_734_005.123


class Line:
    """Writes batches, one at a time.

    Args:
        open_writer: Connects to the broker, or raises.
        place: The broker, as it may be shown in a log.
        backoff: How long to pause while the broker is away.
        hidden: What must not be logged of the broker's address.
        every: Seconds between two signs of life, which each batch states.
        idle: Seconds without a batch after which the connection is let go.
    """

    def __init__(
        self,
        open_writer: Callable[[], Writer],
        place: str,
        backoff: Backoff | None = None,
        hidden: Sequence[str] = (),
        *,
        every: float = wire.SIGN_INTERVAL,
        idle: float = IDLE,
    ) -> None:
        self._hidden = hidden
        self._idle = idle
        self._open_writer = open_writer
        self.opening = Section()
        """OpenSSL computes under locks of its own while it shakes hands; a process that is forked
        meanwhile inherits them locked, and hangs when it does so itself."""
        self._place = place
        self._backoff = backoff or Backoff()
        self._every = every
        self._name = secrets.token_hex(4)
        self._counter = 0
        self._writer: Writer | None = None
        self._pending: tuple[Callable[..., bytes], bool] | None = None
        self._passing = False
        self._failures = 0
        self._reasons = Reasons()
        self._mentioned = False
        self.used_at = float("-inf")
        """When a batch was last written."""
        self.count = 0
        """Events in the batch that could not be written yet."""
        self.retry_at = float("-inf")
        """When the batch that could not be written is to be tried again."""

    @property
    def pending(self) -> bool:
        """Whether a batch could not be written yet."""
        return self._pending is not None

    @property
    def away(self) -> bool:
        """Whether the broker is known not to be there."""
        return self._failures > 1

    @property
    def connected(self) -> bool:
        """Whether there is a connection to be kept alive."""
        return self._writer is not None

    @property
    def overhead(self) -> int:
        """Bytes a batch has besides its events."""
        return len(self._batch_of(())(sent=_SOME_TIME))

    def load(self, events: Sequence[bytes], *, confirm: bool) -> None:
        """Make the next batch. Only while none is pending."""
        self._counter += 1
        self._pending = (self._batch_of(events), confirm)
        self.count = len(events)
        self._passing = False

    def load_sign(self, sign: Sign) -> None:
        """Make the next batch of a sign of life, which is given up when the broker is away."""
        self._counter += 1
        self._pending = (self._batch_of(*sign), False)
        self._passing = True

    def _batch_of(self, *content: Any) -> Callable[..., bytes]:
        """Makes the batch when it is written, with that time: by it readers know our clock."""
        return partial(wire.join_batch, self._name, self._counter, *content, every=self._every)

    def write(self, now: float) -> bool:
        """Try to write the pending batch.

        Returns:
            Whether it is written; else it is to be tried again at :attr:`retry_at`.
        """
        if self._pending is None:
            return True
        make, confirm = self._pending
        try:
            if self._writer is None:
                with self.opening:
                    self._writer = self._open_writer()
            self._writer.publish(make(sent=time.time()), confirm=confirm)
        except Exception as exc:  # noqa: BLE001 - whatever the client library raises
            self._fail(now, exc)
            return False
        self._pending, self.count = None, 0
        self._succeed(now)
        return True

    def rest(self, now: float) -> None:
        """Between batches, about once a second: answer heartbeats, or let go when idle."""
        if self._writer is None:
            return
        if now - self.used_at >= self._idle and not self.pending:
            self.close()
            return
        try:
            self._writer.keep_alive()
        except BrokerBlocked:
            return
        except Exception as exc:  # noqa: BLE001 - whatever the client library raises
            # Nothing is lost yet: the next batch opens another connection, or says so.
            logger.debug("The connection for task events is gone: %s", type(exc).__name__)
            self.close()

    def close(self) -> None:
        """Let go of the connection. A pending batch stays."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _succeed(self, now: float) -> None:
        if self.away:
            logger.warning("Task events reach %s again", self._place)
        self._failures = 0
        self._reasons.forget()
        self._backoff.reset()
        self.used_at = now

    def _fail(self, now: float, exc: Exception) -> None:
        # A connection that was idle may simply have been closed at the other end: the first
        # failure is followed by another try at once, and only the second one means something.
        if not isinstance(exc, BrokerBlocked):
            self.close()
        self._failures += 1
        self.retry_at = now
        if not self.away:
            return
        self.retry_at += self._backoff.next()
        if self._passing:
            self._pending = (self._batch_of(()), False)
        if is_program_error(exc):
            self._mention_program_error(exc)
        elif self._reasons.are_news(exc, why := describe(exc, self._hidden)):
            logger.warning(
                "Task events cannot reach %s and wait here until they can (%s)", self._place, why
            )

    def _mention_program_error(self, exc: Exception) -> None:
        """Say once what is no outage. Another try changes nothing, but costs nothing either."""
        if not self._mentioned:
            self._mentioned = True
            logger.error(
                "Task events cannot be written to %s: this is an error in a program, perhaps "
                "between versions that do not go together, and no outage",
                self._place,
                exc_info=exc,
            )
