"""The publisher of a process: a queue, a lock, and one thread that writes to the broker.

Threads of tasks only put events into the queue; they wait for the lock at most, and no socket call
is made under it. The first event starts the *flusher* thread, which writes batches at limited rate,
and the heartbeats of active runs (:mod:`.outbox`).

A forked child starts with an empty queue, a new lock, no thread and no connection: the parent
writes what waited at the fork. :mod:`.publishers` takes the locks before a fork; a child of a fork
in C, which calls no hook, notices it by itself (:mod:`celery_wsprogress.fork`).
"""

from __future__ import annotations

import logging
import threading
import time
from math import inf
from typing import TYPE_CHECKING, Final

from celery_wsprogress import fork
from celery_wsprogress.setting_parsers import TYPE
from celery_wsprogress.worker.error_log import log_internal_error
from celery_wsprogress.worker.publishing import uwsgi
from celery_wsprogress.worker.publishing.outbox import Outbox
from celery_wsprogress.worker.redaction import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from celery_wsprogress.brokers import Writer
    from celery_wsprogress.brokers.batch_writer import BatchWriter
    from celery_wsprogress.settings import WorkerSettings
    from celery_wsprogress.worker.publishing.heartbeats import ActiveRunSource
    from celery_wsprogress.worker.publishing.lookups import Lookup
    from celery_wsprogress.worker.publishing.progress_slot import ProgressSlot
    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent, QueueEntry

logger = logging.getLogger(__name__)

KEEP_ALIVE_INTERVAL: Final = 1.0
"""Seconds between two calls of the client library while a connection is open."""

LOOKUP_FORK_TIMEOUT: Final = 2.0
"""Seconds that a fork waits for lookups in the result backend."""

CONNECT_FORK_TIMEOUT: Final = 0.25
"""Seconds that a fork waits for a connection that is being opened."""


class Publisher:
    """Takes events from any thread, and writes them in its own.

    Args:
        open_writer: Connects to the broker; called by the flusher thread.
        broker: The broker's address for the log.
        settings: Intervals and the size of the queue.
        secrets: The parts of the address that must not be logged.
        trusted: Whether the broker is Celery's own, which delivers the tasks.
    """

    def __init__(
        self,
        open_writer: Callable[[], Writer],
        broker: str,
        settings: WorkerSettings,
        secrets: Sequence[str] = (),
        *,
        trusted: bool = False,
    ) -> None:
        self._secrets = secrets
        self.trusted = trusted
        """Whether the broker is known to answer."""
        self.streams_errors = settings.stream_errors != TYPE
        self.redactor = Redactor("operation", settings.redact) if settings.redact else None
        """Hides parts of details, metadata and results, where no task decides."""
        """Whether events contain the texts of errors, where no task decides."""
        self._open_writer = open_writer
        self._broker = broker
        self._settings = settings
        # Writers of parent processes. Never collected here: some client libraries close a
        # connection on the wire, which is still the parent's, when it is collected.
        self._inherited: list[BatchWriter] = []
        self._reset()

    def _reset(self) -> None:
        # Re-entrant: a signal handler or destructor of the task may emit an event while its thread
        # holds the lock.
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)
        self._idle = threading.Condition(self._lock)
        self._outbox = Outbox(
            self._settings, self._open_writer, self._broker, self._secrets, self._publish_answer
        )
        self._thread: threading.Thread | None = None
        self._wakes_at = inf  # monotonic; -inf while the flusher is awake
        self._writing = False  # a batch has left the queue and is not written yet
        self._draining = 0  # the number of threads in drain()
        self._drain_began_at = inf
        self._closed = False
        self._must_stop_thread = False  # this process is going to fork in C

    # Called by any thread.

    def schedule(self, slot: ProgressSlot) -> None:
        """Send the progress of a slot when it is due."""
        fork.notice()
        with self._lock:
            self._outbox.queue.schedule(slot)
            self._wake()
        if self._must_stop_thread:
            self._stop_thread_for_fork()

    def emit(self, events: Iterable[QueueEntry], *, after: ProgressSlot | None = None) -> None:
        """Send events, in this order, after the value of a slot if one waits.

        They are iterated under the lock: what a generator does is one step with their queueing.
        """
        fork.notice()
        with self._lock:
            if after is not None:
                self._outbox.queue.flush_progress(after, time.monotonic())
            self._outbox.queue.put(events)
            self._wake()
        if self._must_stop_thread:
            self._stop_thread_for_fork()

    def look_up(self, lookup: Lookup, *, after: ProgressSlot | None = None) -> None:
        """Send the answer to a lookup, after the value of a slot. Never waits for it."""
        fork.notice()
        with self._lock:
            self.emit(self._outbox.lookups.submit(lookup, time.monotonic()), after=after)

    def _publish_answer(self, events: Sequence[EncodedEvent]) -> None:
        with self._lock:
            self._outbox.queue.put(events)
            self._wake()
            if not (self._outbox or self._writing):
                self._idle.notify_all()

    @property
    def heartbeat_source(self) -> ActiveRunSource | None:
        """The source of active runs for heartbeats; None before one is set."""
        # Noticed first: a source that was copied by a fork names the parent's runs.
        fork.notice()
        return self._outbox.heartbeats.source

    @heartbeat_source.setter
    def heartbeat_source(self, source: ActiveRunSource) -> None:
        """Ask this source from the next event on; a forked child has none."""
        fork.notice()
        self._outbox.heartbeats.source = source

    def drain(self, timeout: float, stall_timeout: float = inf, *, since: float = inf) -> bool:
        """Wait until everything is written, unless the broker is known to be down.

        Args:
            timeout: Seconds to wait.
            stall_timeout: Seconds to wait while no batch is written.
            since: The monotonic time from which these count; the earliest of all calls does.

        Returns:
            Whether everything is written.
        """
        fork.notice()
        deadline = time.monotonic() + timeout
        with self._lock:
            self._draining += 1
            self._drain_began_at = min(self._drain_began_at, since)
            try:
                self._wake()
                while self._outbox or self._writing:
                    last = max(self._outbox.batches.last_write_at, self._drain_began_at)
                    left = min(deadline, last + stall_timeout) - time.monotonic()
                    if left <= 0 or self._outbox.batches.broker_down or self._thread is None:
                        return False
                    self._idle.wait(left)
            finally:
                self._draining -= 1
            self._drain_began_at = inf
        return True

    def report_undelivered(self) -> None:
        """Log the number of events that were not written, once."""
        with self._lock:
            self._outbox.report_undelivered()

    def close(self, timeout: float = 0.0) -> None:
        """End the flusher thread after its current batch; wait for that so many seconds."""
        fork.notice()
        with self._lock:
            self._closed = True
            self._work.notify()
        thread = self._thread
        if timeout and thread is not None:
            thread.join(timeout)

    def acquire_for_fork(self) -> None:
        """Keep other threads out while the process forks."""
        # The gates first: closing them may take seconds, in which tasks still emit events.
        self._outbox.close_gates(LOOKUP_FORK_TIMEOUT, CONNECT_FORK_TIMEOUT)
        self._lock.acquire()

    def release_after_fork(self) -> None:
        """Undo :meth:`acquire_for_fork`, in the parent."""
        self._lock.release()
        self._outbox.open_gates()

    def reset_after_fork(self) -> None:
        """Start with an empty queue, in the child."""
        self._outbox.queue.detach()
        self._inherited.append(self._outbox.batches)
        self.trusted = self.trusted or self._outbox.batches.connected
        self._reset()

    def _stop_thread_for_fork(self) -> None:
        """Write everything, and end the thread, before a fork in C.

        The child could hang otherwise: the GIL is copied as it is (CPython 3.11,
        Python/ceval_gil.h).
        """
        self._must_stop_thread = False
        self.drain(uwsgi.DRAIN_TIMEOUT)
        thread = self._thread
        self.close(uwsgi.DRAIN_TIMEOUT)
        with self._lock:
            self._closed = False
            if thread is not None and not thread.is_alive():
                self._thread, self._wakes_at = None, inf

    def _wake(self) -> None:
        """Wake the flusher in time for the next batch. Called under the lock."""
        if self._closed:
            return
        if self._thread is None:
            self._start_thread()
        due = self._outbox.next_due(immediate=self._draining > 0)
        # Nearly always the flusher is awake, or will be in time: no system call.
        if due is not None and due < self._wakes_at:
            self._wakes_at = due
            self._work.notify()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, name="celery-wsprogress", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The interpreter is shutting down, or the system has no more threads. The next event
            # tries again.
            logger.debug("No thread for task events", exc_info=True)
        else:
            self._thread = thread
            self._must_stop_thread = uwsgi.is_master()
            if not self._must_stop_thread:
                uwsgi.warn_without_threads()

    # Called by the flusher thread.

    def _run(self) -> None:
        while not self._closed:
            try:
                self._run_once()
            except Exception as exc:  # noqa: BLE001 - whatever it is
                # An error of ours must neither end the thread nor fill the log.
                sentence = "Task events: unexpected error; trying again"
                log_internal_error(logger, logging.ERROR, sentence, exc)
                time.sleep(KEEP_ALIVE_INTERVAL)
        self._outbox.batches.close()

    def _run_once(self) -> None:
        """Wait for the next batch and write it, or let the client library work for a moment."""
        with self._lock:
            awake, now, immediate = self._sleep(), time.monotonic(), self._draining > 0
            write = self._outbox.prepare(now, immediate=immediate) if awake else None
            self._writing = write is not None
        # Both without the lock: they make socket calls, and a task must not wait for these.
        if write is None:
            self._outbox.batches.tick(time.monotonic())
            return
        write()
        with self._lock:
            self._writing = False
            if not self._outbox or self._outbox.batches.broker_down:
                self._idle.notify_all()

    def _sleep(self) -> bool:
        """Wait, without the lock, until a batch is due; False when it is time for a tick."""
        # A loop, since a nearer event only changes the time to wake.
        tick_at = time.monotonic() + KEEP_ALIVE_INTERVAL if self._outbox.batches.connected else inf
        while not self._closed:
            due = self._outbox.next_due(immediate=self._draining > 0)
            now = time.monotonic()
            if due is not None and due <= now:
                self._wakes_at = -inf
                return True
            if tick_at <= now:
                break
            self._wakes_at = tick_at if due is None else min(tick_at, due)
            self._work.wait(None if self._wakes_at == inf else self._wakes_at - now)
        self._wakes_at = -inf
        return False
