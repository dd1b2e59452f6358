"""The mirror of a process: a thread that sends the progress of its runs as Celery events.

Once a second it looks at the newest value of each active run. So a report of a task costs nothing
more, a run of less than a second sends none, and a broker that does not answer holds up this thread
only. What Flower makes of the events: :mod:`celery_wsprogress.contrib.flower`.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from celery_wsprogress import fork
from celery_wsprogress.guard import class_name
from celery_wsprogress.worker.mirror.event_sender import EventSender
from celery_wsprogress.worker.mirror.mirrored_runs import INTERVAL, MirroredRuns
from celery_wsprogress.worker.mirror.progress_fields import progress_fields
from celery_wsprogress.worker.publishing.fork_gate import ForkGate

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.worker.tracker import Tracker

logger = logging.getLogger(__name__)

CONNECT_FORK_TIMEOUT: Final = 0.25
"""Seconds that a fork waits for a connection that is being opened."""


class OpenSender(Protocol):
    """An :class:`.EventSender`, or its substitute in a test."""

    def send(self, worker: str, fields: dict[str, Any]) -> None:
        """Send an event."""

    def close(self) -> None:
        """Close the connection."""


class FlowerMirror:
    """Sends the progress of active runs, at most once a second each, and none after its end.

    Args:
        open_sender: Connects to the broker; called by the mirror's thread.
        idle_time: Seconds without events after which the connection is closed.
    """

    def __init__(self, open_sender: Callable[[], OpenSender], idle_time: float) -> None:
        self._open_sender = open_sender
        self._idle_time = idle_time
        # Never collected here: closing a connection would end it for the parent, too.
        self._inherited: list[OpenSender | None] = []
        self._closed = False
        self._sender: OpenSender | None = None
        self._reset()

    def _reset(self) -> None:
        self._runs = MirroredRuns()
        self._wake = threading.Event()
        self._starting = threading.Lock()
        self._opening = ForkGate()
        self._thread: threading.Thread | None = None
        self._sender = None
        self._last_sent_at = 0.0
        self._failing = False

    # Called by any thread.

    def add(self, tracker: Tracker) -> None:
        """Mirror the progress of this run until its end. Never waits."""
        fork.notice()
        self._runs.add(tracker)
        if self._thread is None:
            self._start_thread()
        # Set already while runs are active: no lock, and no system call.
        if not self._wake.is_set():
            self._wake.set()

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._wake.set()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, name="celery-wsprogress-flower", daemon=True)
        with self._starting:
            if self._thread is not None or self._closed:
                return
            try:
                thread.start()
            except RuntimeError:
                # The interpreter is shutting down, or the system has no more threads. The next run
                # tries again.
                logger.debug("No thread for the mirror of progress", exc_info=True)
            else:
                self._thread = thread

    def acquire_for_fork(self) -> None:
        """Wait for opening a connection, and let none begin: OpenSSL holds locks meanwhile."""
        self._opening.close(CONNECT_FORK_TIMEOUT)

    def release_after_fork(self) -> None:
        """Undo :meth:`acquire_for_fork`, in the parent."""
        self._opening.open()

    def reset_after_fork(self) -> None:
        """Start without runs, thread and connection, in the child."""
        self._inherited.append(self._sender)
        self._reset()

    # Called by the mirror's thread.

    def _run(self) -> None:
        while not self._closed:
            self._send_due(time.monotonic())
            if self._runs:
                time.sleep(INTERVAL)
                continue
            self._wake.wait(None if self._sender is None else self._idle_time)
            self._wake.clear()
        self._disconnect()

    def _send_due(self, now: float) -> None:
        try:
            for run, value in self._runs.due(now):
                fields = {"uuid": run.operation_id, **progress_fields(value)}
                self._connected().send(run.worker, fields)
                self._last_sent_at, self._failing = now, False
        except Exception as exc:  # noqa: BLE001 - whatever it is, it must not end the thread
            self._report(exc)
            self._disconnect()
        if self._sender is not None and now >= self._last_sent_at + self._idle_time:
            self._disconnect()

    def _connected(self) -> OpenSender:
        if self._sender is None:
            with self._opening:
                self._sender = self._open_sender()
        return self._sender

    def _disconnect(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            # It is given up in any case.
            with suppress(Exception):
                sender.close()

    def _report(self, exc: Exception) -> None:
        """Log the first failure of several, without its text: that may quote the address."""
        level = logging.DEBUG if self._failing else logging.WARNING
        self._failing = True
        logger.log(level, "Progress cannot be sent to Flower; trying again (%s)", class_name(exc))


_mirrors: weakref.WeakSet[FlowerMirror] = weakref.WeakSet()
_held: list[FlowerMirror] = []


def open_mirror(app: Any, idle_time: float) -> FlowerMirror:
    """Return a mirror for this process and its children. It connects with its first event.

    Args:
        app: The Celery app. It is not kept alive.
        idle_time: Seconds without events after which the connection is closed.
    """
    # Imported here, and not in the mirror's thread: a fork during an import would leave its lock
    # held.
    _ = app.events.Dispatcher
    reference = weakref.ref(app)
    mirror = FlowerMirror(lambda: EventSender(reference()), idle_time)
    weakref.finalize(app, mirror.close).atexit = False
    _mirrors.add(mirror)
    return mirror


def close_all() -> None:
    """End the threads, within a second: for the end of tests."""
    for mirror in list(_mirrors):
        mirror.close()


def _acquire() -> None:
    for mirror in list(_mirrors):
        mirror.acquire_for_fork()
        _held.append(mirror)


def _release() -> None:
    while _held:
        _held.pop().release_after_fork()


def _reset() -> None:
    _held.clear()
    for mirror in list(_mirrors):
        mirror.reset_after_fork()


fork.register(_reset, _acquire, _release)
