"""A stream of a run: pieces of a partial result, which watchers get in order.

What is written soon after each other is sent as one chunk: the first piece puts a buffer into the
publisher's queue, and the others are appended until it is sent. A chunk has its number from its
beginning, so one that is dropped from a full queue leaves a gap.
"""

from __future__ import annotations

import os
from collections import deque
from functools import partial
from itertools import count
from time import time
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from celery_wsprogress.guard import has_type
from celery_wsprogress.protocol import jsonable
from celery_wsprogress.protocol.bounded_copy import encodable
from celery_wsprogress.worker.publishing.queue_entries import LAZY_BYTES, LazyEvent, Priority
from celery_wsprogress.worker.streams import chunk_events
from celery_wsprogress.worker.streams.chunk_buffer import ChunkBuffer, slices

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from celery_wsprogress.protocol.jsonable import Rendered
    from celery_wsprogress.worker.event_sink import EventSink
    from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent, QueueEntry
    from celery_wsprogress.worker.redaction import Redactor
    from celery_wsprogress.worker.run_info import RunInfo

MAX_NAME_BYTES: Final = 100
"""Maximum size of the name of a stream."""

MAX_STREAMS: Final = 1_000
"""Streams of a run beyond which more are not sent."""

_LOG: Final = Priority.LOG
_STATUS: Final = Priority.STATUS


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

    def warn_once(self, key: object, sentence: str, *arguments: Any) -> None:
        """Log a warning, once a run and key."""


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
        "_next_index",
        "_process",
        "_tracker",
        "closed",
        "name",
    )

    def __init__(self, tracker: StreamedRun | None, name: str) -> None:
        self.name = name
        self.closed = False
        """Whether it takes no more."""
        self._tracker = tracker
        self._process = os.getpid()
        self._last_chunk: ChunkBuffer | None = None
        """The last chunk of text, if no other one has followed it."""
        self._next_index = count()

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
            if chunk.append(piece) and self._takes_more():
                self._emit(self._begin("", chunk))
        elif has_type(piece, str):
            text = str.__str__(piece)
            if text and self._takes_more():
                self._emit(self._begin(text))
        else:
            self.send(piece)

    def send(self, value: Any) -> None:
        """Send a value as a chunk of its own.

        Args:
            value: Any value that is like JSON; cut above 24,000 bytes. What the task's ``redact``
                names is hidden.
        """
        if self._tracker is not None and self._takes_more():
            redactor = self._tracker.redactor
            shown = jsonable.to_result(value if redactor is None else redactor.result(value))
            self._emit(self._add(self._tracker, shown))

    def close(self) -> None:
        """Tell watchers that no more follows. The end of the run closes it, too."""
        # A forked child has a copy, and does not own the stream.
        if self._process == os.getpid():
            self._emit(self._end())

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
        if self._tracker is not None:
            why = "after its end" if self.closed else "by a child process"
            sentence = "what is written to the stream %r %s is not sent"
            self._tracker.warn_once(("stream", self.name), sentence, self.name, why)
        return False

    def _emit(self, entries: Iterator[QueueEntry]) -> None:
        tracker = self._tracker
        if tracker is None or tracker.sink is None:
            deque(entries, maxlen=0)
        else:
            tracker.sink.emit(entries)

    # Iterated under the lock of the publisher: so chunks are queued in the order of their numbers,
    # and there is no other lock, for which a finalizer in the publisher's thread could wait.

    def _begin(self, text: str, before: ChunkBuffer | None = None) -> Iterator[QueueEntry]:
        """Begin a chunk with a text, or several if it is too large for one.

        Args:
            text: The text.
            before: The chunk to which something was appended too late, which comes first.
        """
        tracker = self._tracker
        text = text if before is None else before.late() + text
        if tracker is None or self.closed:
            return
        for part in filter(None, slices(text)):
            self._last_chunk = buffer = ChunkBuffer(part, self._uncounted())
            encode = partial(_encode, tracker, time(), self.name, next(self._next_index), buffer)
            tracker.emitted += 1
            yield LazyEvent(encode, _LOG, buffer.size, tracker.run, drop=buffer.take, waits=True)

    def _add(self, tracker: StreamedRun, shown: Rendered) -> Iterator[QueueEntry]:
        """Add a value as a chunk of its own."""
        if not self.closed:
            self._last_chunk = None
            tracker.emitted += 1
            index = next(self._next_index)
            yield chunk_events.chunk(
                tracker.run, time(), self.name, index, shown.value, truncated=shown.truncated
            )

    def _end(self) -> Iterator[QueueEntry]:
        """Close it."""
        tracker, size = self._tracker, LAZY_BYTES + self._uncounted()
        if self.closed:
            return
        self.closed, self._last_chunk = True, None
        if tracker is not None:
            tracker.emitted += 1
            index = next(self._next_index)
            encode = partial(chunk_events.stream_closed, tracker.run, time(), self.name, index)
            yield LazyEvent(encode, _STATUS, size, tracker.run)

    def _uncounted(self) -> int:
        """Return the bytes of the last chunk for which nothing in the queue counts yet."""
        return 0 if self._last_chunk is None else self._last_chunk.growth


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
        sentence = "a run has no more than %d streams; %r and those after it are not sent"
        tracker.warn_once("streams", sentence, MAX_STREAMS, name)
        return Stream(None, name)
    found = streams.setdefault(name, Stream(tracker, name))
    # Another thread may have ended the run, which then does not close this one.
    return Stream(None, name) if tracker.ended else found
