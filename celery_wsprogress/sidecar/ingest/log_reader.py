"""The log reader: a thread that reads the log and hands each read to the event loop.

The thread opens a reader, reads from the last position it handed over, and passes each read to the
dispatcher in one call. When the broker is lost it logs that once, retries for ever with a growing,
randomised delay, and logs once when it is connected again. Nothing here decodes events: the event
loop does, so only one thread writes to the hub.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from celery_wsprogress.backoff import Backoff
from celery_wsprogress.brokers import open_reader
from celery_wsprogress.brokers.failure import OutageLog, describe, is_an_answer, is_program_error
from celery_wsprogress.protocol.event_ids import parse_position
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery_wsprogress.brokers import BrokerAddress, LogEntry, Reader

logger = logging.getLogger(__name__)

READ_WAIT: Final = 1.0
"""Seconds that one read waits for new entries."""

LOST_END_TIMEOUT: Final = 5.0
"""Seconds without an entry after which the end of the log counts as dropped from it: a busy broker
delivers late."""

STOP_TIMEOUT: Final = 5.0

MIN_WAIT: Final = 0.001
MAX_WAIT: Final = 2 * READ_WAIT
"""Seconds. A read that waited longer than the one found nothing at first, and one that waited less
than the other was not suspended meanwhile: the broker took its entries just now."""


class Deliver(Protocol):
    """The receiver of what was read."""

    def __call__(self, epoch: str, entries: Sequence[LogEntry], *, caught_up: bool) -> None:
        """Take entries, oldest first.

        Runs in: the thread of the log reader. It may block as long as nothing is to be read on.

        Args:
            epoch: The log's epoch.
            entries: The entries; may be empty where ``caught_up`` is true.
            caught_up: Whether everything has now been read that was in the log when the broker was
                reached. True once for each connection.
        """
        ...


@dataclass(slots=True)
class BrokerStatus:
    """The state of the connection to the broker. Only the thread of the log reader changes it."""

    connected: bool = False
    replayable: bool = False
    error: str = ""
    """Why it is not connected, without secrets; ``""`` while it is, or before it was tried."""
    reconnects: int = 0
    end: str = ""
    """The last position of the log when the broker was reached."""


class LogReaderThread:
    """Reads the log in a thread and hands the entries to ``deliver``.

    Args:
        address: Where the log is.
        deliver: Receives each read.
        status: Is kept up to date with the connection.
    """

    def __init__(self, address: BrokerAddress, deliver: Deliver, status: BrokerStatus) -> None:
        self.status = status
        self._address = address
        self._deliver = deliver
        self._stopping = threading.Event()
        self._reader: Reader | None = None
        self._thread = threading.Thread(target=self._run, name="wsprogress-ingest", daemon=True)
        self._backoff = Backoff()
        self._mentioned = False
        self._epoch = ""
        self._position = ""
        self._outage_log = OutageLog()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; blocks for :data:`STOP_TIMEOUT` at most.

        Runs in: any other thread.
        """
        self._stopping.set()
        reader = self._reader
        if reader is not None:
            reader.close()
        self._thread.join(STOP_TIMEOUT)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._read_until_error()
            # Whatever a client library raises when its broker goes away, the answer is the
            # same: try again. This is the one place where the sidecar meets the broker.
            except Exception as exc:  # noqa: BLE001
                if self._stopping.is_set():
                    break
                self._on_lost(exc)
                self._stopping.wait(self._backoff.next())
            finally:
                self._close_reader()

    def _read_until_error(self) -> None:
        reader = self._reader = open_reader(
            self._address, position=self._position, epoch=self._epoch
        )
        if reader.epoch != self._epoch:
            # Positions of another epoch mean nothing in this one.
            self._epoch, self._position = reader.epoch, ""
        # A broker may let itself be opened and still refuse to be read.
        entries = reader.read(self._position, wait=0.0)
        self._on_connected(reader)
        self._backoff.reset()
        behind, first, live = True, True, False
        silent = 0.0
        while not self._stopping.is_set():
            if behind and _is_at_or_past(self._position, reader.end):
                behind, live = False, reader.replayable
                self._deliver(self._epoch, (), caught_up=True)
            waited = 0.0
            if not first:
                began = time.monotonic()
                entries = reader.read(self._position, wait=READ_WAIT)
                waited = time.monotonic() - began
            first = False
            if entries:
                if live and MIN_WAIT < waited < MAX_WAIT:
                    entries = _taken_now(entries)
                self._deliver(self._epoch, entries, caught_up=False)
                self._position = entries[-1].position
                silent = 0.0
            else:
                # An empty read: what a queue has gathered in days, without a sidecar, is read.
                live = live or waited > 0
                silent += waited
                if behind and silent >= LOST_END_TIMEOUT:
                    # The end itself has been dropped from the log meanwhile.
                    behind = False
                    self._deliver(self._epoch, (), caught_up=True)

    def _on_connected(self, reader: Reader) -> None:
        connection = self.status
        connection.replayable = reader.replayable
        connection.end = reader.end
        connection.connected = True
        connection.error = ""
        self._outage_log.clear()
        again = " again" if connection.reconnects else ""
        logger.info("Connected to the broker %s%s", masked(self._address.url), again)

    def _on_lost(self, exc: Exception) -> None:
        connection = self.status
        refused, error = is_an_answer(exc), describe(exc, self._address.secrets)
        if is_program_error(exc):
            self._mention_program_error(exc)
        elif self._outage_log.is_new(exc, error):
            logger.warning(
                "The broker %s %s (%s); trying again until it %s",
                masked(self._address.url),
                "refuses to be read" if refused else "is away",
                error,
                "may be" if refused else "is back",
            )
        connection.error = error
        connection.connected = False
        connection.reconnects += 1

    def _mention_program_error(self, exc: Exception) -> None:
        """Log an error of a program once: it is no outage."""
        if not self._mentioned:
            self._mentioned = True
            logger.error(
                "The events on %s cannot be read: this is an error in a program, perhaps between "
                "versions that do not go together, and no outage",
                masked(self._address.url),
                exc_info=exc,
            )

    def _close_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()


def _taken_now(entries: Sequence[LogEntry]) -> Sequence[LogEntry]:
    """Return the entries with the present time where the broker does not say when it took them."""
    if entries[0].written_at:
        return entries
    now = time.time()
    return [entry._replace(written_at=now) for entry in entries]


def _is_at_or_past(position: str, end: str) -> bool:
    return not end or (bool(position) and parse_position(position) >= parse_position(end))
