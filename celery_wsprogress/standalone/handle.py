"""The life of one operation: how it begins, and the first of its ends.

The process that began it vouches for it until then. When the process dies without a word, its
signs of life stop, and a sidecar ends the operation as an ``error`` of the type ``OwnerLost``.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from concurrent import futures
from types import NoneType
from typing import Any, Final, Literal

from msgspec.structs import replace

from celery_wsprogress.guard import has_type
from celery_wsprogress.protocol import jsonable
from celery_wsprogress.protocol.events import MAX_ID_LENGTH
from celery_wsprogress.standalone import registry
from celery_wsprogress.standalone.process_publisher import process_publisher
from celery_wsprogress.worker import context
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.publishing.heartbeats import ActiveRun
from celery_wsprogress.worker.run_info import Run, new_id
from celery_wsprogress.worker.tracker import Tracker

#: Stands for a result that was never given; None is one.
NO_RESULT: Final = object()

_CANCEL_MESSAGES: Final = {
    asyncio.CancelledError: "it was cancelled",
    futures.CancelledError: "it was cancelled",
    KeyboardInterrupt: "it was interrupted at the keyboard",
    GeneratorExit: "nobody asked for the rest of it",
}
"""What people read of an operation that was left from outside, by the exception that left it."""


def new_run(
    operation_type: Any, metadata: Any = None, tags: Any = None, operation_id: Any = None
) -> Run:
    """What is to be known of an operation before it begins.

    Raises:
        ValueError: the id is empty, too long for anyone to ask for it, or no text that UTF-8 holds.
    """
    name = str(uuid.uuid4() if operation_id is None else operation_id)
    if not 0 < len(name) <= MAX_ID_LENGTH:
        raise ValueError(f"operation_id has {len(name)} characters, not 1 to {MAX_ID_LENGTH}")
    name.encode()
    return Run(
        operation_id=name,
        operation_type=jsonable.to_text(operation_type, jsonable.MAX_NAME_BYTES),
        run=new_id(),
        metadata=jsonable.to_object(metadata),
        tags=tuple(jsonable.to_tags(tags)),
    )


class OperationHandle:
    """An operation that has begun. Any thread of its process may speak for it."""

    __slots__ = ("_count_of_ends", "_ends", "_process", "began", "tracker")

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.began = time.time()
        """When it began, epoch seconds."""
        self._ends: tuple[encoded_events.EncodedEvent, ...] = ()
        self._count_of_ends = 0
        self._process = os.getpid()

    @property
    def operation_id(self) -> str:
        """Its id."""
        return self.tracker.run.operation_id

    @property
    def active_run(self) -> ActiveRun:
        """It, as its process vouches for it."""
        run = self.tracker.run
        return ActiveRun(run.operation_id, run.run, self.began, self.started_event)

    def started_event(self) -> encoded_events.EncodedEvent:
        """Make its ``started``, with what is known of it by now."""
        run = replace(self.tracker.run, metadata=self.tracker.metadata)
        return encoded_events.started(run, self.began, stream_errors=self.tracker.streams_errors)

    def said_so_far(self) -> list[encoded_events.EncodedEvent]:
        """What there is to say of it now: its beginning, the last of all else, and its end."""
        return [self.started_event(), *self.tracker.said_so_far(), *self._ends]

    @property
    def count(self) -> int:
        """How many events that has been, of the progress the last one only."""
        return 1 + self.tracker.emitted + self.tracker.has_progress + self._count_of_ends

    def complete(self, result: Any = NO_RESULT) -> None:
        """Say ``result``, where there is one, and ``completed``."""
        run, now = self.tracker.run, time.time()
        end = encoded_events.completed(run, now, self.tracker.duration)
        if result is NO_RESULT:
            self._end(end)
        else:
            self._end(encoded_events.result(run, now, result), end)

    def fail(self, error: Any, error_type: Any = None) -> None:
        """Say ``error``.

        Args:
            error: An exception, or a text.
            error_type: Its kind; None for the exception's class, or ``UnknownError``.
        """
        said, kind = jsonable.describe_error(error)
        full = self.tracker.streams_errors
        status, said = _end_status(error, said if full else kind, kind)
        if said == kind and not full:
            said = jsonable.WITHHELD
        if error_type is not None:
            kind = jsonable.to_text(error_type, jsonable.MAX_NAME_BYTES) or kind
        end = encoded_events.failed(
            self.tracker.run,
            time.time(),
            said,
            kind,
            status=status,
            duration=self.tracker.duration,
        )
        self._end(end)

    def _end(self, *ends: encoded_events.EncodedEvent) -> None:
        if not self._ends:
            # A result may be large, and is no part of a snapshot.
            self._ends, self._count_of_ends = ends[-1:], len(ends)
        registry.remove(self)
        # A fork of the process that began it has it, too, and is not its owner.
        if self._process == os.getpid():
            self.tracker.end(*ends)


def _end_status(error: Any, said: str, kind: str) -> tuple[Literal["error", "cancelled"], str]:
    """Whether its own code failed, or was left from outside; and what people read of it.

    ``sys.exit("why")`` is a failure that the program explains. Another ``SystemExit`` is mostly
    another's: a web server's time limit (gunicorn exits with 1 in the middle of a request), a
    worker or a program that was told to stop. So is whatever else is no ``Exception``.
    """
    if has_type(error, SystemExit) and isinstance(error.code, (int, NoneType)):
        return "cancelled", f"its process was told to stop (exit code {int(error.code or 0)})"
    words = next((text for left, text in _CANCEL_MESSAGES.items() if has_type(error, left)), None)
    if words is not None:
        return "cancelled", words if said == kind else f"{words}: {said}"
    left = has_type(error, BaseException) and not has_type(error, (Exception, SystemExit))
    return "cancelled" if left else "error", said


def start(run: Run) -> OperationHandle:
    """Say ``started``. What is said of the operation from now on is sent."""
    publisher = process_publisher()
    outer = _enclosing_tracker()
    # What fails inside a task says what that task's exception says.
    streams = outer or publisher
    full = streams is None or streams.streams_errors
    life = OperationHandle(Tracker(run, publisher, outer, streams_errors=full))
    registry.add(life)
    if publisher is not None:
        publisher.heartbeat_source = registry.active_run
        publisher.emit((life.started_event(),))
    return life


def _enclosing_tracker() -> Tracker | None:
    """What goes on around it. Not what is over: a chain of those would never be let go."""
    tracker = context.running.get()
    while tracker is not None and tracker.ended:
        tracker = tracker.parent
    return tracker
