"""The tracker of a run: it takes the reports of a task, and passes them to the publisher.

:mod:`.context` finds the tracker of the current run; the methods of tasks and operations call it.
Progress goes into a slot (:class:`.ProgressSlot`), everything else is encoded during the call.
"""

from __future__ import annotations

import logging
from operator import itemgetter
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from celery_wsprogress.protocol import jsonable
from celery_wsprogress.protocol.events import LIFE_CYCLE
from celery_wsprogress.worker import progress_args
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.publishing.progress_slot import NO_DETAILS, ProgressSlot
from celery_wsprogress.worker.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from celery_wsprogress.worker.cancel.cancel_check import CancelCheck
    from celery_wsprogress.worker.event_sink import EventSink
    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent, QueueEntry
    from celery_wsprogress.worker.redaction import Redactor
    from celery_wsprogress.worker.run_info import RunInfo
    from celery_wsprogress.worker.streams.stream import Stream

logger = logging.getLogger(__name__)


class Tracker:
    """Turns the reports of one run into events. Any thread may call it; it never blocks.

    Args:
        run: The run.
        sink: Receives the events; None to check arguments only (an eager run, a direct call).
        parent: The tracker of the enclosing run (of an eager ``apply``).
        streams_errors: Whether events contain the texts of its errors, and not only their types.
        redactor: Hides parts of details, metadata and results; None to publish them as they are.
    """

    __slots__ = (
        "__weakref__",
        "_last_status",
        "_metadata",
        "_replacement_announced",
        "_started",
        "_status",
        "_to_object",
        "_warned",
        "cancel_check",
        "emitted",
        "max_retries",
        "parent",
        "redactor",
        "replaced",
        "retry_starts_at",
        "run",
        "sink",
        "slot",
        "streams",
        "streams_errors",
    )

    def __init__(
        self,
        run: RunInfo,
        sink: EventSink | None,
        parent: Tracker | None = None,
        *,
        streams_errors: bool = True,
        redactor: Redactor | None = None,
    ) -> None:
        self.run = run
        self.redactor = redactor
        self._to_object = jsonable.to_object if redactor is None else redactor.to_object
        self.streams_errors = streams_errors
        self.sink = sink
        self.parent = parent
        self.cancel_check: CancelCheck | None = None
        """Whether the run was cancelled, once it was asked."""
        self.slot = ProgressSlot(run)
        """The run's progress, until the sink takes it."""
        self.streams: dict[str, Stream] = {}
        """What the run streams, by name; closed with it."""
        self._started = monotonic()
        self.emitted = 0
        """The number of events between the start and the end, without progress."""
        self._replacement_announced = False
        self.replaced = False
        """Whether the run published a message with its own id: its successor."""
        self.max_retries: int | None = None
        """Its limit, as the task's latest ``retry()`` has it; None if unlimited or unknown."""
        self.retry_starts_at: float | None = None
        """The earliest start of the retry that it published, epoch seconds; None for at once."""
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
        """Whether the run's end was published; later reports are dropped."""
        return self.slot.ended

    @property
    def has_progress(self) -> bool:
        """Whether it has reported progress."""
        return self.slot.latest is not None

    @property
    def metadata(self) -> dict[str, Any]:
        """The operation's metadata, of the caller and of the task."""
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
        """Report progress, as :meth:`StreamingTask.update_progress`."""
        # Plain numbers in range take a short path, since tasks call this in inner loops.
        indeterminate = False
        if progress is None and type(current) is int and type(total) is int:
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
            # Here: the event is encoded in another thread, where the object may have changed.
            unit = jsonable.to_text(unit, jsonable.MAX_NAME_BYTES)
        if details is not None:
            details = self._to_object(details)
        # A slot that is scheduled already gets the value without a lock or a system call.
        slot = self.slot
        if slot.bar is not None:
            slot.bar.report(None if indeterminate else fraction)
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
            self.warn_once(warning, "%s", progress_args.format_warning(warning, **passed))
        if found.fraction is not None:
            return found.fraction, False, found.current, found.total
        # Indeterminate progress keeps the last fraction, so that a bar does not jump back.
        known = 0.0 if self.slot.latest is None else self.slot.latest[1]
        return known, True, found.current, found.total

    def latest_events(self) -> Sequence[EncodedEvent]:
        """Encode the current status and progress, the older first. Nothing is sent by it."""
        latest, (at, message, details) = self.slot.latest, self._last_status
        found = [] if latest is None else [(latest[0], self.slot.encode(latest, None, None))]
        if at:
            found.append((at, self._status_event(at, message, details, None)))
        return [event for _, event in sorted(found, key=itemgetter(0))]

    def update_status(self, status: Any, message: Any = "", details: Any = None) -> None:
        """Report a status, as :meth:`StreamingTask.update_status`."""
        status = jsonable.to_text(status, jsonable.MAX_NAME_BYTES).strip()
        if not status:
            self.warn_once("empty", "update_status() needs a word; this call sends nothing")
            return
        if status in LIFE_CYCLE:
            self.warn_once(
                status,
                "%r is a word of the life cycle, which a task cannot enter by itself; "
                "it is shown as %r",
                status,
                status.capitalize(),
            )
            status = status.capitalize()
        self._status = status
        self._last_status = (time(), jsonable.to_text(message), self._to_object(details))
        self._emit_status()

    def set_metadata(self, **metadata: Any) -> None:
        """Add metadata, as :meth:`StreamingTask.set_metadata`."""
        self._metadata = self._to_object({**self._metadata, **metadata})
        self._emit_status(self._metadata)

    def _emit_status(self, metadata: dict[str, Any] | None = None) -> None:
        """Publish the current status, with the newest message, of a status or of progress.

        Watchers show the message of the last event.
        """
        latest = self.slot.latest
        _, message, details = self._last_status
        if latest is not None and latest[0] > self._last_status[0]:
            message, details = jsonable.to_text(latest[3]), latest[4] or NO_DETAILS
        event = self._status_event(time(), message, details, metadata)
        self._emit(event, flush_progress=True)

    def _status_event(self, at: float, message: str, details: Any, metadata: Any) -> EncodedEvent:
        new, shown = UNSET if metadata is None else metadata, self.slot.with_phases(details)
        return encoded_events.status(self.run, at, self._status, message, shown, metadata=new)

    def log(self, level: Any, message: Any, **details: Any) -> None:
        """Send a log line, as :meth:`StreamingTask.log`."""
        known = jsonable.to_level(level)
        if known is None:
            shown = jsonable.to_text(level, 100)
            self.warn_once("level", "%r is no log level; it is taken for info", shown)
        if self.redactor is not None:
            details = self.redactor.to_object(details)
        self._emit(encoded_events.log(self.run, time(), known or "info", message, details))

    def steps(self, total: Any, finish: Callable[[Any], None] | None = None) -> Steps:
        """Return a step counter, as :meth:`StreamingTask.steps`; ``finish`` gets its result."""
        return Steps(total, self.update_progress, finish, self.run.operation_type)

    def replace(self, *, streams_errors: bool = False) -> None:
        """Close the streams and publish ``replaced``, once, before the successor of this id starts.

        It does not end the run, which fails if its successor cannot be published.

        Args:
            streams_errors: Whether events may contain the texts of errors of all that follows.
        """
        self.replaced = True
        if not self._replacement_announced:
            self._replacement_announced = True
            for stream in list(self.streams.values()):
                stream.close()
            event = encoded_events.replaced(self.run, time(), stream_errors=streams_errors)
            self._emit(event, flush_progress=True)

    def mark_ended(self) -> None:
        """Close the streams, and drop later reports: the end is published elsewhere."""
        # First, so that no stream is opened behind those that are closed here.
        self.slot.ended = True
        for stream in list(self.streams.values()):
            stream.close()

    def end(self, *ends: QueueEntry) -> None:
        """Publish the end of the run. Later calls publish nothing."""
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
        """Warn of a report after the end.

        Celery calls ``on_success``, ``on_failure`` and ``on_retry`` before the signal of the end,
        and ``after_return`` after it (celery 5.7, celery/app/trace.py).
        """
        if self.sink is not None and not self.replaced:
            self.warn_once(
                "over",
                "what is reported after the end, as in after_return() or by a thread that goes on, "
                "is not sent; on_success(), on_failure() and on_retry() come before the end",
            )

    def warn_once(self, key: object, sentence: str, *arguments: Any) -> None:
        """Log a warning about the task's calls, once a run and key."""
        if self._warned is None:
            self._warned = set()
        if key not in self._warned:
            self._warned.add(key)
            logger.warning("%s: %s", self.run.operation_type, sentence % arguments)
