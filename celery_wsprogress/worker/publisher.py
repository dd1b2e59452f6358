"""The publisher of a process: a buffer, a lock, and one thread that empties it.

The threads of tasks only ever put something into the buffer: they make no socket call, and
wait for nothing but the lock, which is never held across one. While the flusher is about to look
anyway, a run's beginning and end are left beside the buffer, without the lock. The flusher thread
is started by the first event. It sleeps while there is nothing to say, is woken by the first event
after a pause, and paces itself after that. While runs go on it also gives their signs of life
(:mod:`.signs`), whatever their threads are busy with.

A child of a fork starts with an empty buffer, a lock of its own, no thread and no connection: what
waited at the fork is its parent's to say. A process that forks takes the lock first
(:mod:`.forking`), so that nothing is copied half changed; where it forks in C, and asks nobody, the
child finds out by itself (:mod:`celery_wsprogress.fork`).

The same code serves pools of threads, of greenlets (the threads and sockets are patched then)
and the callers of tasks.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from celery_wsprogress import fork
from celery_wsprogress.brokers import MAX_BATCH_BYTES
from celery_wsprogress.settings import TYPE
from celery_wsprogress.worker import forking
from celery_wsprogress.worker.buffer import Buffer, Said
from celery_wsprogress.worker.faults import log_fault
from celery_wsprogress.worker.inquiries import Inquiries, Inquiry
from celery_wsprogress.worker.line import Line
from celery_wsprogress.worker.signs import Signs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery_wsprogress.brokers import Writer
    from celery_wsprogress.settings import WorkerSettings
    from celery_wsprogress.worker.reports import Report
    from celery_wsprogress.worker.signs import Witness
    from celery_wsprogress.worker.tracker import Tracker

    Job = Callable[[], None]
    """What the flusher does without the lock."""

logger = logging.getLogger(__name__)

_KEEP_ALIVE: Final = 1.0
_REST: Final = 1.0
_CALM: Final = 2.0
"""Seconds that a fork waits for what is being asked of a result backend."""
_MOMENT: Final = 0.25
"""Seconds that a fork waits for a connection that is being opened: a mute broker may take long."""
_NEVER: Final = float("inf")
_NOW: Final = float("-inf")


class Publisher:
    """Takes reports from any thread and has them written by its own.

    Args:
        open_writer: Connects to the broker; called by the flusher thread.
        place: The broker, as it may be shown in a log.
        settings: Intervals and the size of the buffer.
        hidden: What must not be logged of the broker's address.
        trusts: The broker is Celery's own, over which the tasks come.
    """

    def __init__(
        self,
        open_writer: Callable[[], Writer],
        place: str,
        settings: WorkerSettings,
        hidden: Sequence[str] = (),
        *,
        trusts: bool = False,
    ) -> None:
        self._hidden = hidden
        self.trusts = trusts
        """Whether the broker is known to answer, by others than its own events."""
        self.streams_errors = settings.stream_errors != TYPE
        """Whether what errors say leaves, and not only their types, where no task has a say."""
        self._open_writer = open_writer
        self._place = place
        self._settings = settings
        self._abandoned: list[Line] = []
        self._equip()
        forking.add(self)

    def _equip(self) -> None:
        settings = self._settings
        # Re-entrant: a signal handler or a destructor of the task may report something while
        # its thread is in here.
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)
        self._idle = threading.Condition(self._lock)
        self._buffer = Buffer(
            settings.buffer_bytes, settings.event_interval, settings.progress_interval
        )
        self._inquiries = Inquiries(self._take_answer)
        self._signs = Signs(settings.sign_interval)
        self._line = Line(
            self._open_writer,
            self._place,
            hidden=self._hidden,
            every=settings.sign_interval,
            idle=settings.idle_time,
        )
        self._thread: threading.Thread | None = None
        self._awake_at = _NEVER
        self._attentive = False
        self._writing = False
        self._draining = 0
        self._drained_since = _NEVER
        self._admitted = False
        self._closed = False
        self._resting = False

    # Called by any thread.

    def offer(self, tracker: Tracker) -> None:
        """Have the tracker's newest value fetched when it is due."""
        fork.notice()
        with self._lock:
            self._buffer.offer(tracker)
            self._wake()
        if self._resting:
            self._rest()

    def emit(self, reports: Sequence[Said], *, after: Tracker | None = None) -> None:
        """Take over reports, behind the value that ``after`` may still have to give."""
        fork.notice()
        # One that is not waited for has nothing to give.
        giving = after if after is not None and after.waiting else None
        left = giving is None and self._buffer.leave(reports)
        # Asked behind it, as _sleep() says it before it looks.
        if left and self._attentive:
            return
        with self._lock:
            if giving is not None:
                self._buffer.seal(giving, time.monotonic())
            if not left:
                self._buffer.put(reports)
            due = self._buffer.due()
            # Nearly always it is awake, or will be in time.
            if due is not None and due < self._awake_at:
                self._wake()
        if self._resting:
            self._rest()

    def ask(self, inquiry: Inquiry, *, after: Tracker | None = None) -> None:
        """Have something said that has to be asked for first, behind the value of ``after``."""
        fork.notice()
        with self._lock:
            now = time.monotonic()
            if after is not None:
                self._buffer.seal(after, now)
            self._buffer.put(self._inquiries.put(inquiry, now))
            self._wake()

    def _take_answer(self, reports: Sequence[Report]) -> None:
        with self._lock:
            self._buffer.put(reports)
            self._wake()
            if self._is_done():
                self._idle.notify_all()

    @property
    def witness(self) -> Witness | None:
        """Who vouches for the runs that go on; nobody yet, where it is None."""
        fork.notice()
        return self._signs.witness

    def vouch(self, witness: Witness) -> None:
        """Have the witness asked for the runs that go on, from the next report on.

        It speaks for this process only: a child of it begins without one.
        """
        fork.notice()
        self._signs.witness = witness

    def drain(self, seconds: float, patience: float = _NEVER, *, since: float = _NEVER) -> bool:
        """Wait until everything is written.

        Args:
            seconds: How long at the most. Not at all when the broker is known to be away.
            patience: How long at the most while nothing is written.
            since: When that began, if nothing was written before; the first call counts.

        Returns:
            Whether everything is.
        """
        fork.notice()
        deadline = time.monotonic() + seconds
        with self._lock:
            self._draining += 1
            self._drained_since = min(self._drained_since, since)
            try:
                self._wake()
                while not self._is_done():
                    heard = max(self._line.used_at, self._drained_since)
                    left = min(deadline, heard + patience) - time.monotonic()
                    if left <= 0 or self._line.away or self._thread is None:
                        return False
                    self._idle.wait(left)
            finally:
                self._draining -= 1
            self._drained_since = _NEVER
        return True

    def admit_loss(self) -> None:
        """Say, once, how much this process could not write."""
        with self._lock:
            count = self._buffer.count + self._line.count
            admitted, self._admitted = self._admitted, True
        if count and not admitted:
            logger.warning(
                "%d task events of this process were not delivered: %s %s",
                count,
                self._place,
                "cannot be reached" if self._line.away else "does not answer in time",
            )

    def close(self) -> None:
        """Let the thread end after what it is doing. Nothing more is written then."""
        fork.notice()
        with self._lock:
            self._closed = True
            self._work.notify()

    def hold(self) -> None:
        """Keep everyone else out while the process forks."""
        self._inquiries.asking.hold(_CALM)
        self._line.opening.hold(_MOMENT)
        self._lock.acquire()

    def let_go(self) -> None:
        """Undo :meth:`hold`, in the parent."""
        self._lock.release()
        self._line.opening.let_go()
        self._inquiries.asking.let_go()

    def be_born(self) -> None:
        """Start anew in the child of a fork. Only that."""
        self._buffer.forget_slots()
        # The connection is the parent's. It must not even be collected here: some clients say
        # goodbye on the wire when they are.
        self._abandoned.append(self._line)
        self.trusts = self.trusts or self._line.connected
        self._equip()

    def _rest(self) -> None:
        """Have all of it written, for so long as a start may take, and the thread end.

        A fork in C that hits a thread at work may leave a child that hangs: Python's own lock
        is copied as it stands (CPython 3.11, Python/ceval_gil.h).
        """
        self._resting = False
        self.drain(_REST)
        thread = self._thread
        self.close()
        if thread is not None:
            thread.join(_REST)
        with self._lock:
            self._closed = False
            if thread is not None and not thread.is_alive():
                self._thread, self._attentive, self._awake_at = None, False, _NEVER

    def _is_done(self) -> bool:
        return not (self._buffer or self._writing or self._line.pending or self._inquiries)

    def _wake(self) -> None:
        """Have the flusher wake up in time for what the buffer holds now."""
        if self._closed:
            return
        if self._thread is None:
            self._start()
        due = self._due()
        if due is not None and due < self._awake_at:
            self._awake_at = due
            self._work.notify()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="celery-wsprogress", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The interpreter is shutting down, or the machine has no more threads; the next
            # event tries again.
            logger.debug("No thread for task events", exc_info=True)
        else:
            self._thread = thread
            self._resting = forking.is_to_fork_in_c()
            if not self._resting:
                forking.warn_of_sleep()

    def _due(self) -> float | None:
        if self._line.pending:
            return self._line.retry_at
        event = self._buffer.due(hurry=self._draining > 0)
        known = [due for due in (event, self._signs.due, self._inquiries.due) if due is not None]
        return min(known, default=None)

    # Called by the flusher thread.

    def _run(self) -> None:
        while not self._closed:
            try:
                self._turn()
            except Exception as exc:  # noqa: BLE001 - whatever it is
                # A fault of ours must neither end the events nor fill the log.
                sentence = "Task events: unexpected error; trying again"
                log_fault(logger, logging.ERROR, sentence, exc)
                time.sleep(_KEEP_ALIVE)
        self._line.close()

    def _turn(self) -> None:
        """Sleep until something is due, or for a second while a connection is open, and do it."""
        with self._lock:
            job = self._choose() if self._sleep() else None
            self._writing = job is not None
        if job is None:
            self._line.rest(time.monotonic())
            return
        job()
        with self._lock:
            self._writing = False
            if self._is_done() or self._line.away:
                self._idle.notify_all()

    def _sleep(self) -> bool:
        """Wait, releasing the lock, until something is due; False when nothing is, yet."""
        rest_at = time.monotonic() + _KEEP_ALIVE if self._line.connected else _NEVER
        while not self._closed:
            # What is left from now on is either found here or comes with a call that wakes us.
            self._attentive = self._buffer.has_reports
            due = self._due()
            now = time.monotonic()
            if due is not None and due <= now:
                self._awake_at = _NOW
                return True
            if rest_at <= now:
                break
            self._awake_at = rest_at if due is None else min(rest_at, due)
            self._work.wait(None if self._awake_at == _NEVER else self._awake_at - now)
        self._awake_at = _NOW
        return False

    def _choose(self) -> Job | None:
        """What to do now."""
        if self._line.pending:
            return self._write
        now = time.monotonic()
        if self._signs.are_due(now):
            return self._sign
        if self._signs.asleep:
            self._signs.rouse(now)
        self._buffer.put(self._inquiries.expire(now))
        room = MAX_BATCH_BYTES - self._line.overhead
        taken = self._buffer.take(now, room, hurry=self._draining > 0)
        if not taken.events:
            return None
        self._line.load(taken.events, confirm=taken.confirm)
        return self._write

    # The jobs.

    def _write(self) -> None:
        self._line.write(time.monotonic())

    def _sign(self) -> None:
        at, room = time.time(), MAX_BATCH_BYTES - self._line.overhead
        for sign in self._signs.take(time.monotonic(), at, room):
            self._line.load_sign(sign)
            if not self._line.write(time.monotonic()):
                # What is left of it would not be fresh any more when the broker is back.
                return
        self._signs.said(at)
