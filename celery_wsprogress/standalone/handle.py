"""One operation that this process has started: its events from ``started`` to the first end.

Made by :func:`.registry.start`. The process sends heartbeats for it until it ends. When the process
dies, the heartbeats stop, and a sidecar ends the operation as an ``error`` of the type
``OwnerLost``.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from concurrent import futures
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec.structs import replace

from celery_wsprogress.guard import has_type
from celery_wsprogress.protocol import jsonable
from celery_wsprogress.protocol.events import MAX_ID_LENGTH
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.publishing.heartbeats import ActiveRun
from celery_wsprogress.worker.run_info import RunInfo, new_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent
    from celery_wsprogress.worker.tracker import Tracker

#: Marks the absence of a result; None is a result.
NO_RESULT: Final = object()

_CANCEL_MESSAGES: Final = {
    asyncio.CancelledError: "it was cancelled",
    futures.CancelledError: "it was cancelled",
    KeyboardInterrupt: "it was interrupted at the keyboard",
    GeneratorExit: "nobody asked for the rest of it",
}
"""The ``error`` of a cancelled operation, by the class of the exception that left its block."""


def new_run(
    operation_type: Any, metadata: Any = None, tags: Any = None, operation_id: Any = None
) -> RunInfo:
    """Return the run of a new operation, without starting it.

    Args:
        operation_type: Cut to 500 bytes.
        metadata: A mapping; above 8,000 bytes a preview replaces it.
        tags: Up to 50 texts, each cut to 100 bytes.
        operation_id: 1 to 1,000 characters; None for a random UUID.

    Raises:
        ValueError: the id is empty, too long, or has lone surrogates.
    """
    name = str(uuid.uuid4() if operation_id is None else operation_id)
    if not 0 < len(name) <= MAX_ID_LENGTH:
        raise ValueError(f"operation_id has {len(name)} characters, not 1 to {MAX_ID_LENGTH}")
    name.encode()
    return RunInfo(
        operation_id=name,
        operation_type=jsonable.to_text(operation_type, jsonable.MAX_NAME_BYTES),
        run_id=new_id(),
        metadata=jsonable.to_object(metadata),
        tags=tuple(jsonable.to_tags(tags)),
    )


class OperationHandle:
    """An operation that has started. Any thread of its process may use it.

    Args:
        tracker: Publishes its events.
        on_end: Called with this handle at its first end.
    """

    __slots__ = ("_end_count", "_ends", "_on_end", "_process", "began", "tracker")

    def __init__(self, tracker: Tracker, on_end: Callable[[OperationHandle], None]) -> None:
        self.tracker = tracker
        self.began = time.time()
        """Epoch seconds of its start."""
        self._on_end = on_end
        self._ends: tuple[EncodedEvent, ...] = ()
        self._end_count = 0
        self._process = os.getpid()

    @property
    def operation_id(self) -> str:
        """The operation's id."""
        return self.tracker.run.operation_id

    @property
    def active_run(self) -> ActiveRun:
        """The entry of this operation in the heartbeats of its process."""
        run = self.tracker.run
        return ActiveRun(run.operation_id, run.run_id, self.began, self.started_event)

    def started_event(self) -> EncodedEvent:
        """Make its ``started`` event, with the metadata of now."""
        run = replace(self.tracker.run, metadata=self.tracker.metadata)
        return encoded_events.started(run, self.began, stream_errors=self.tracker.streams_errors)

    def latest_events(self) -> list[EncodedEvent]:
        """Return the events of its snapshot: ``started``, the latest of each kind, the end."""
        return [self.started_event(), *self.tracker.latest_events(), *self._ends]

    @property
    def count(self) -> int:
        """The number of its events; of progress only the latest is counted."""
        return 1 + self.tracker.emitted + self.tracker.has_progress + self._end_count

    def complete(self, result: Any = NO_RESULT) -> None:
        """Publish ``result``, where there is one, and ``completed``."""
        run, timestamp = self.tracker.run, time.time()
        end = encoded_events.completed(run, timestamp, self.tracker.duration)
        if result is NO_RESULT:
            self._end(end)
        else:
            redactor = self.tracker.redactor
            shown = result if redactor is None else redactor.result(result)
            self._end(encoded_events.result(run, timestamp, shown), end)

    def fail(self, error: Any, error_type: Any = None) -> None:
        """Publish ``error``.

        Args:
            error: An exception, or a text of up to 2,000 bytes.
            error_type: Up to 500 bytes; None for the exception's class, or ``UnknownError``.
        """
        text, kind = jsonable.describe_error(error)
        full = self.tracker.streams_errors
        status, text = _end_status(error, text if full else kind, kind)
        if text == kind and not full:
            text = jsonable.WITHHELD
        if error_type is not None:
            kind = jsonable.to_text(error_type, jsonable.MAX_NAME_BYTES) or kind
        end = encoded_events.failed(
            self.tracker.run,
            time.time(),
            text,
            kind,
            status=status,
            duration=self.tracker.duration,
        )
        self._end(end)

    def _end(self, *ends: EncodedEvent) -> None:
        if not self._ends:
            # A result may be large, and no snapshot has it.
            self._ends, self._end_count = ends[-1:], len(ends)
        self._on_end(self)
        # A forked child has a copy, and does not own the operation.
        if self._process == os.getpid():
            self.tracker.end(*ends)


def _end_status(error: Any, text: str, kind: str) -> tuple[Literal["error", "cancelled"], str]:
    """Return ``status`` and ``error``: did its own code fail, or was its block left from outside?

    ``sys.exit("reason")`` is an error that the program explains. Any other ``SystemExit`` mostly
    comes from outside: gunicorn's time limit (its worker exits with 1 during a request), or a
    shutdown. So does every exception that is no ``Exception``.
    """
    if has_type(error, SystemExit) and isinstance(error.code, (int, NoneType)):
        return "cancelled", f"its process was told to stop (exit code {int(error.code or 0)})"
    message = next(
        (shown for left, shown in _CANCEL_MESSAGES.items() if has_type(error, left)), None
    )
    if message is not None:
        return "cancelled", message if text == kind else f"{message}: {text}"
    left = has_type(error, BaseException) and not has_type(error, (Exception, SystemExit))
    return "cancelled" if left else "error", text
