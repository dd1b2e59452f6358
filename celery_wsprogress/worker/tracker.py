"""The tracker of a run: it takes what a task reports, and hands it to the publisher.

Progress goes into a slot: the newest value replaces the one before, and only a slot that is not yet
scheduled is scheduled. So a call that comes soon after another one costs neither a lock nor a
system call. Everything else is encoded and handed over in the call.
"""

from __future__ import annotations

import logging
from operator import itemgetter
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import UNSET

from celery_wsprogress.protocol import jsonable
from celery_wsprogress.protocol.events import LIFE_CYCLE
from celery_wsprogress.worker import progress_args
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.publishing.progress_slot import NO_DETAILS, ProgressSlot
from celery_wsprogress.worker.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent, QueueEntry
    from celery_wsprogress.worker.run_info import RunInfo

logger = logging.getLogger(__name__)


class EventSink(Protocol):
    """Where a tracker sends its events; a :class:`.Publisher`."""

    def schedule(self, slot: ProgressSlot) -> None:
        """Have progress sent when it is due; see :meth:`.EventQueue.schedule`."""

    def emit(self, events: Sequence[QueueEntry], *, after: ProgressSlot | None = None) -> None:
        """Have events sent, in this order, behind the value of a slot if one waits."""


class Tracker:
    """What one run says.

    Any thread that runs in the task's context may call it. It never blocks and raises only
    what its methods promise.

    Args:
        run: Whose events these are.
        sink: Where they go; None for a run that only checks its arguments (eager, direct).
        parent: The tracker of the run inside which this one runs (an eager ``apply``).
        streams_errors: Whether the texts of its errors leave, and not only their types.
    """

    __slots__ = (
        "__weakref__",
        "_last_status",
        "_metadata",
        "_replacement_announced",
        "_started",
        "_status",
        "_warned",
        "emitted",
        "parent",
        "replaced",
        "run",
        "sink",
        "slot",
        "streams_errors",
    )

    def __init__(
        self,
        run: RunInfo,
        sink: EventSink | None,
        parent: Tracker | None = None,
        *,
        streams_errors: bool = True,
    ) -> None:
        self.run = run
        self.streams_errors = streams_errors
        self.sink = sink
        self.parent = parent
        self.slot = ProgressSlot(run)
        """Its progress on the way to the sink."""
        self._started = monotonic()
        self.emitted = 0
        """Events that were said between the beginning and the end, progress apart."""
        self._replacement_announced = False
        self.replaced = False
        """The run published its own id: its successor goes on."""
        self._status = "running"
        self._last_status: tuple[float, str, dict[str, Any]] = (0.0, "", NO_DETAILS)
        self._metadata = run.metadata
        self._warned: set[object] | None = None

    @property
    def duration(self) -> float:
        """Seconds since the start."""
        return monotonic() - self._started

    @property
    def ended(self) -> bool:
        """Whether the run's end was said; what the task still says is nobody's."""
        return self.slot.ended

    @property
    def has_progress(self) -> bool:
        """Whether it has said how far it is."""
        return self.slot.latest is not None

    @property
    def metadata(self) -> dict[str, Any]:
        """What the caller and the task have said of the operation."""
        return self._metadata

    def update_progress(  # noqa: PLR0917 - by position a call costs half as much
        self,
        progress: Any = None,
        message: Any = "",
        current: Any = None,
        total: Any = None,
        unit: Any = None,
        details: Any = None,
    ) -> None:
        """As :meth:`StreamingTask.update_progress`."""
        indeterminate = False
        if progress is None and type(current) is int and type(total) is int:
            # What is not between them, or no total at all, is for the careful way.
            fraction = current / total if 0 <= current <= total > 0 else None
        elif type(progress) is float and current is None and total is None:
            fraction = progress if 0.0 <= progress <= 1.0 else None
        else:
            fraction = None
        if fraction is None:
            fraction, indeterminate, current, total = self._measure(
                progress, message, current, total
            )
        if type(message) is not str:
            message = jsonable.to_text(message)
        if unit is not None and type(unit) is not str:
            # Here, and not where the rest is made into an event: that is another thread.
            unit = jsonable.to_text(unit, jsonable.MAX_NAME_BYTES)
        if details is not None:
            details = jsonable.to_object(details)
        slot = self.slot
        slot.latest = (
            time(), fraction, indeterminate, message, details, current, total, unit, monotonic(),
        )  # fmt: skip
        if slot.due is None and self.sink is not None:
            if self.ended:
                self._warn_after_end()
            else:
                self.sink.schedule(slot)

    def _measure(
        self, progress: Any, message: Any, current: Any, total: Any
    ) -> tuple[float, bool, float | None, float | None]:
        found = progress_args.parse_progress(progress, message, current, total)
        for warning in found.warnings:
            passed = {"progress": progress, "message": message, "current": current, "total": total}
            self._warn_once(warning, "%s", progress_args.format_warning(warning, **passed))
        if found.fraction is not None:
            return found.fraction, False, found.current, found.total
        known = 0.0 if self.slot.latest is None else self.slot.latest[1]
        return known, True, found.current, found.total

    def latest_events(self) -> Sequence[EncodedEvent]:
        """The word that counts and how far it is, encoded, in the order in which they were said.

        For whoever asks in this process. What leaves, and when, does not change by it.
        """
        latest, (at, message, details) = self.slot.latest, self._last_status
        found = [] if latest is None else [(latest[0], self.slot.encode(latest, None, None))]
        if at:
            event = encoded_events.status(self.run, at, self._status, message, details)
            found.append((at, event))
        return [event for _, event in sorted(found, key=itemgetter(0))]

    def update_status(self, status: Any, message: Any = "", details: Any = None) -> None:
        """As :meth:`StreamingTask.update_status`."""
        status = jsonable.to_text(status, jsonable.MAX_NAME_BYTES).strip()
        if not status:
            self._warn_once("empty", "update_status() needs a word; this call says nothing")
            return
        if status in LIFE_CYCLE:
            self._warn_once(
                status,
                "%r is a word of the life cycle, which a task cannot enter by itself; "
                "it is shown as %r",
                status,
                status.capitalize(),
            )
            status = status.capitalize()
        self._status = status
        self._last_status = (time(), jsonable.to_text(message), jsonable.to_object(details))
        self._emit_status()

    def set_metadata(self, **metadata: Any) -> None:
        """As :meth:`StreamingTask.set_metadata`."""
        self._metadata = jsonable.to_object({**self._metadata, **metadata})
        self._emit_status(self._metadata)

    def _emit_status(self, metadata: dict[str, Any] | None = None) -> None:
        """Say the current word. Watchers show its message, so it has the one said last."""
        latest = self.slot.latest
        _, message, details = self._last_status
        if latest is not None and latest[0] > self._last_status[0]:
            message, details = jsonable.to_text(latest[3]), latest[4] or NO_DETAILS
        given = UNSET if metadata is None else metadata
        event = encoded_events.status(
            self.run, time(), self._status, message, details, metadata=given
        )
        self._emit(event, flush_progress=True)

    def log(self, level: Any, message: Any, **details: Any) -> None:
        """As :meth:`StreamingTask.log`."""
        known = jsonable.to_level(level)
        if known is None:
            shown = jsonable.to_text(level, 100)
            self._warn_once("level", "%r is no log level; it is taken for info", shown)
        self._emit(encoded_events.log(self.run, time(), known or "info", message, details))

    def steps(self, total: Any, finish: Callable[[Any], None] | None = None) -> Steps:
        """As :meth:`StreamingTask.steps`.

        Args:
            total: How many there are.
            finish: What ``complete(result)`` does with its result.
        """
        return Steps(total, self.update_progress, finish, self.run.operation_type)

    def replace(self, *, streams_errors: bool = False) -> None:
        """Say that a successor of the same id follows; once, and before it can begin.

        It is no end: the run fails where its successor cannot be published.

        Args:
            streams_errors: Whether it is known that the texts of errors of all that follows may
                leave.
        """
        self.replaced = True
        if not self._replacement_announced:
            self._replacement_announced = True
            event = encoded_events.replaced(self.run, time(), stream_errors=streams_errors)
            self._emit(event, flush_progress=True)

    def mark_ended(self) -> None:
        """Say nothing more of this run: its end is said elsewhere."""
        self.slot.ended = True

    def end(self, *ends: QueueEntry) -> None:
        """Say how the run ended. Only the first call says anything."""
        if not self.ended:
            self.mark_ended()
            if self.sink is not None:
                self.sink.emit(ends, after=self.slot)

    def _emit(self, event: EncodedEvent, *, flush_progress: bool = False) -> None:
        if self.ended:
            self._warn_after_end()
            return
        self.emitted += 1
        if self.sink is not None:
            self.sink.emit((event,), after=self.slot if flush_progress else None)

    def _warn_after_end(self) -> None:
        """Say it in the log: in ``after_return`` it is too late, in ``on_success`` it is not.

        Celery calls ``on_success``, ``on_failure`` and ``on_retry`` before it signals the end
        (celery 5.7, celery/app/trace.py), and ``after_return`` behind it.
        """
        if self.sink is not None and not self.replaced:
            self._warn_once(
                "over",
                "what is reported after the end, as in after_return() or by a thread that goes on, "
                "is not sent; in on_success(), on_failure() and on_retry() it is in time",
            )

    def _warn_once(self, what: object, sentence: str, *arguments: Any) -> None:
        """Log a sentence about the way the task calls us, once a run."""
        if self._warned is None:
            self._warned = set()
        if what not in self._warned:
            self._warned.add(what)
            logger.warning("%s: %s", self.run.operation_type, sentence % arguments)
