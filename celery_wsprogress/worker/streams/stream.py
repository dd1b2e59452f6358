"""A stream of a run: pieces of a partial result, which watchers get in order.

What is written soon after each other is sent as one chunk: the first piece puts a buffer into the
publisher's queue, and the others are appended until it is sent. A chunk has its number from its
beginning, so one that is dropped from a full queue leaves a gap.
"""

from __future__ import annotations

import logging
import os
import threading
from functools import partial
from itertools import count
from time import time
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from celery_wsprogress.guard import has_type
from celery_wsprogress.protocol import jsonable
from celery_wsprogress.protocol.bounded_copy import encodable
from celery_wsprogress.worker.publishing.queue_entries import LazyEvent, Priority
from celery_wsprogress.worker.streams import chunk_events
from celery_wsprogress.worker.streams.chunk_buffer import MAX_BYTES, ChunkBuffer, slices

if TYPE_CHECKING:
    from types import TracebackType

    from celery_wsprogress.worker.event_sink import EventSink
    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent, QueueEntry
    from celery_wsprogress.worker.redaction import Redactor
    from celery_wsprogress.worker.run_info import RunInfo

logger = logging.getLogger(__name__)

MAX_NAME_BYTES: Final = 100
"""Maximum size of the name of a stream."""

MAX_STREAMS: Final = 1_000
"""Streams of a run beyond which more are not sent."""

_LOG: Final = Priority.LOG


class StreamedRun(Protocol):
    """What a stream needs of a :class:`.Tracker`."""

    run: RunInfo
    sink: EventSink | None
    redactor: Redactor | None
    emitted: int
    streams: dict[str, Stream]

    @property
    def ended(self) -> bool:
        """Whether the run's end was published."""


class Stream:
    """A stream of the current run. Any thread of its process may write.

    A context manager that closes it. Used by several threads, their pieces come in the order of
    their calls.

    Args:
        tracker: The tracker of the run; None to send nothing.
        name: Its name.
    """

    __slots__ = (
        "_last_chunk",
        "_lock",
        "_next_index",
        "_process",
        "_tracker",
        "_warned",
        "closed",
        "name",
    )

    def __init__(self, tracker: StreamedRun | None, name: str) -> None:
        self.name = name
        self.closed = False
        """Whether it takes no more."""
        self._tracker = tracker
        # Re-entrant: a signal handler of the task may write, too.
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._last_chunk: ChunkBuffer | None = None
        """The last chunk of text, if no other one has followed it."""
        self._next_index = count()
        self._warned = False

    def write(self, piece: Any) -> None:
        """Send a piece of text, or any other value as :meth:`send` does.

        It costs about a microsecond. Nothing of a text is changed or left out, and pieces that are
        written within 20 milliseconds are sent together.

        Args:
            piece: The text. ``redact`` is not applied to it.
        """
        # Nearly always there is a chunk that waits and has room: without a lock.
        chunk = self._last_chunk
        if type(piece) is str and chunk is not None and chunk.room >= len(piece):
            late = chunk.append(piece)
            if late:
                self._write(late)
        elif has_type(piece, str):
            self._write(str.__str__(piece))
        else:
            self.send(piece)

    def _write(self, text: str) -> None:
        """Begin a chunk with a text."""
        if text and self._takes_more():
            with self._lock:
                self._begin(text)

    def send(self, value: Any) -> None:
        """Send a value as a chunk of its own.

        Args:
            value: Any value that is like JSON; cut above 24,000 bytes. What the task's ``redact``
                names is hidden.
        """
        if self._tracker is None or not self._takes_more():
            return
        redactor = self._tracker.redactor
        shown = jsonable.to_result(value if redactor is None else redactor.result(value))
        with self._lock:
            self._last_chunk = None
            self._emit(
                chunk_events.chunk(
                    self._tracker.run,
                    time(),
                    self.name,
                    next(self._next_index),
                    shown.value,
                    truncated=shown.truncated,
                )
            )

    def close(self) -> None:
        """Tell watchers that no more follows. The end of the run closes it, too."""
        # A forked child has a copy, and does not own the stream.
        if self._process != os.getpid():
            return
        with self._lock:
            if self.closed:
                return
            self.closed, self._last_chunk = True, None
            if self._tracker is not None:
                index = next(self._next_index)
                self._emit(chunk_events.stream_closed(self._tracker.run, time(), self.name, index))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _takes_more(self) -> bool:
        """Return whether something may be written; a call in vain logs one warning."""
        # A forked child has a copy, whose chunks would have the numbers of others.
        if not self.closed and self._process == os.getpid():
            return self._tracker is not None
        if not self._warned and self._tracker is not None:
            self._warned = True
            why = "after its end" if self.closed else "by a child process"
            task = self._tracker.run.operation_type
            sentence = "%s: what is written to the stream %r %s is not sent"
            logger.warning(sentence, task, self.name, why)
        return False

    def _begin(self, text: str) -> None:
        """Begin a chunk with this text, or several if it is too large for one."""
        tracker = self._tracker
        if tracker is None:
            return
        for part in slices(text):
            self._last_chunk = buffer = ChunkBuffer(part)
            encode = partial(_encode, tracker, time(), self.name, next(self._next_index), buffer)
            self._emit(
                LazyEvent(encode, _LOG, MAX_BYTES, tracker.run, drop=buffer.take, waits=True)
            )

    def _emit(self, event: QueueEntry) -> None:
        tracker = self._tracker
        if tracker is not None and tracker.sink is not None:
            tracker.emitted += 1
            tracker.sink.emit((event,))


def _encode(
    tracker: StreamedRun, timestamp: float, name: str, index: int, buffer: ChunkBuffer
) -> EncodedEvent:
    """Encode the text of a buffer. The publisher's thread calls it."""
    text = encodable(buffer.take())
    return chunk_events.chunk(tracker.run, timestamp, name, index, text)


def open_stream(tracker: StreamedRun | None, name: Any) -> Stream:
    """Return the stream of this name of a run, the same one for each call.

    Args:
        tracker: The tracker of the run; None outside of one.
        name: Its name, cut to 100 bytes.
    """
    name = jsonable.to_text(name, MAX_NAME_BYTES).strip() or "stream"
    if tracker is None or tracker.sink is None or tracker.ended:
        return Stream(None, name)
    streams = tracker.streams
    if len(streams) >= MAX_STREAMS and name not in streams:
        sentence = "%s: too many streams in a run; %r is not sent"
        logger.warning(sentence, tracker.run.operation_type, name)
        return Stream(None, name)
    return streams.setdefault(name, Stream(tracker, name))
