"""The publisher of a process: a queue, a lock, and one thread that writes to the log.

The threads of tasks only put events into the queue: they make no socket call, and wait for nothing
but the lock, which is never held during one. The *flusher* thread is started by the first event. It
sleeps while nothing waits, is woken by the first event after a pause, and rate-limits itself after
that. While runs are active it also gives their heartbeats, whatever their own threads are busy
with.

A child of a fork starts with an empty queue, a lock of its own, no thread and no connection: what
waited at the fork is for its parent to send. A process that forks takes the lock first
(:mod:`.publishers`), so that nothing is copied half changed. Where it forks in C, and calls no
hook, the child notices by itself (:mod:`celery_wsprogress.fork`).

The same code serves pools of threads, of greenlets (whose sockets are patched) and callers.
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

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery_wsprogress.brokers import Writer
    from celery_wsprogress.brokers.batch_writer import BatchWriter
    from celery_wsprogress.settings import WorkerSettings
    from celery_wsprogress.worker.publishing.heartbeats import ActiveRunSource
    from celery_wsprogress.worker.publishing.lookups import Lookup
    from celery_wsprogress.worker.publishing.progress_slot import ProgressSlot
    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent, QueueEntry

logger = logging.getLogger(__name__)

KEEP_ALIVE_INTERVAL: Final = 1.0
"""Seconds between two looks at an open connection."""

LOOKUP_FORK_TIMEOUT: Final = 2.0
"""Seconds that a fork waits for lookups in a result backend."""

CONNECT_FORK_TIMEOUT: Final = 0.25
"""Seconds that a fork waits for a connection that is being opened: a mute broker may take long."""


class Publisher:
    """Takes events from any thread and has them written by its own.

    Args:
        open_writer: Connects to the broker; called by the flusher thread.
        broker: The broker, as it may be logged.
        settings: Intervals and the size of the queue.
        secrets: What must not be logged of the broker's address.
        trusted: Whether the broker is Celery's own, over which the tasks come.
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
        """Whether the broker is known to answer, from more than its own events."""
        self.streams_errors = settings.stream_errors != TYPE
        """Whether the texts of errors are sent, and not only their types, where no task says."""
        self._open_writer = open_writer
        self._broker = broker
        self._settings = settings
        self._inherited: list[BatchWriter] = []
        """Those of the parents of this process. Their connections must not even be collected here:
        some clients close a connection on the wire when they are."""
        self._reset()

    def _reset(self) -> None:
        # Re-entrant: a signal handler or a destructor of the task may emit an event while its
        # thread is in here.
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)
        self._idle = threading.Condition(self._lock)
        self._outbox = Outbox(
            self._settings, self._open_writer, self._broker, self._secrets, self._publish_answer
        )
        self._thread: threading.Thread | None = None
        self._wakes_at = inf
        self._writing = False
        self._draining = 0
        self._drain_began_at = inf
        self._closed = False
        self._must_stop_thread = False
        """This process is going to fork in C, which its flusher must not be at work for."""

    # Called by any thread.

    def schedule(self, slot: ProgressSlot) -> None:
        """Have progress sent when it is due; see :meth:`.EventQueue.schedule`."""
        fork.notice()
        with self._lock:
            self._outbox.queue.schedule(slot)
            self._wake()
        if self._must_stop_thread:
            self._stop_thread_for_fork()

    def emit(self, events: Sequence[QueueEntry], *, after: ProgressSlot | None = None) -> None:
        """Have events sent, in this order.

        Args:
            events: The events.
            after: A slot whose value, if one waits, is sent before them.
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
        """Have the answer to a lookup sent, behind the value of a slot."""
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
        """What names the active runs; None where nothing does yet."""
        fork.notice()
        return self._outbox.heartbeats.source

    @heartbeat_source.setter
    def heartbeat_source(self, source: ActiveRunSource) -> None:
        """Have the source asked, from the next event on. It speaks for this process only."""
        fork.notice()
        self._outbox.heartbeats.source = source

    def drain(self, timeout: float, stall_timeout: float = inf, *, since: float = inf) -> bool:
        """Wait until everything is written.

        Args:
            timeout: Seconds at the most. Not at all when the broker is known to be down.
            stall_timeout: Seconds at the most while nothing is written.
            since: When that began, if nothing was written before; the first call counts.

        Returns:
            Whether everything is.
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
        """Log, once, how many events this process could not write."""
        with self._lock:
            self._outbox.report_undelivered()

    def close(self) -> None:
        """Let the thread end after what it is doing. Nothing more is written then."""
        fork.notice()
        with self._lock:
            self._closed = True
            self._work.notify()

    def acquire_for_fork(self) -> None:
        """Keep everybody else out while the process forks."""
        self._outbox.close_gates(LOOKUP_FORK_TIMEOUT, CONNECT_FORK_TIMEOUT)
        self._lock.acquire()

    def release_after_fork(self) -> None:
        """Undo :meth:`acquire_for_fork`, in the parent."""
        self._lock.release()
        self._outbox.open_gates()

    def reset_after_fork(self) -> None:
        """Start anew in the child. Only there."""
        self._outbox.queue.detach_slots()
        self._inherited.append(self._outbox.batches)
        self.trusted = self.trusted or self._outbox.batches.connected
        self._reset()

    def _stop_thread_for_fork(self) -> None:
        """Write everything, for as long as a start may take, and let the thread end.

        A fork in C during the work of a thread may leave a child that hangs: Python's own lock is
        copied as it stands (CPython 3.11, Python/ceval_gil.h).
        """
        self._must_stop_thread = False
        self.drain(uwsgi.DRAIN_TIMEOUT)
        thread = self._thread
        self.close()
        if thread is not None:
            thread.join(uwsgi.DRAIN_TIMEOUT)
        with self._lock:
            self._closed = False
            if thread is not None and not thread.is_alive():
                self._thread, self._wakes_at = None, inf

    def _wake(self) -> None:
        """Have the flusher wake up in time for what the queue holds now."""
        if self._closed:
            return
        if self._thread is None:
            self._start_thread()
        due = self._outbox.next_due(immediate=self._draining > 0)
        # Nearly always it is awake, or will be in time.
        if due is not None and due < self._wakes_at:
            self._wakes_at = due
            self._work.notify()

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, name="celery-wsprogress", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The interpreter is shutting down, or the machine has no more threads; the next event
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
                # A fault of ours must neither end the events nor fill the log.
                sentence = "Task events: unexpected error; trying again"
                log_internal_error(logger, logging.ERROR, sentence, exc)
                time.sleep(KEEP_ALIVE_INTERVAL)
        self._outbox.batches.close()

    def _run_once(self) -> None:
        """Sleep until something is due, or for a second while a connection is open, and do it."""
        with self._lock:
            awake, now, immediate = self._sleep(), time.monotonic(), self._draining > 0
            write = self._outbox.prepare(now, immediate=immediate) if awake else None
            self._writing = write is not None
        if write is None:
            self._outbox.batches.tick(time.monotonic())
            return
        write()
        with self._lock:
            self._writing = False
            if not self._outbox or self._outbox.batches.broker_down:
                self._idle.notify_all()

    def _sleep(self) -> bool:
        """Wait, releasing the lock, until something is due; False when nothing is, yet."""
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
