"""The forwarder of a run: it sends lines as ``log`` events, as many as the limit allows.

Any thread of the run may call it. It has no lock: a record may be logged by a signal handler or a
finalizer in the middle of another one, and in a forked child.
"""

from __future__ import annotations

import threading
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.worker.logs.line_splitter import LineSplitter
from celery_wsprogress.worker.logs.options import NO_RECORDS, LogOptions
from celery_wsprogress.worker.logs.token_bucket import TokenBucket
from celery_wsprogress.worker.publishing import encoded_events

if TYPE_CHECKING:
    from celery_wsprogress.protocol.events import Level
    from celery_wsprogress.worker.tracker import Tracker

BURST_SECONDS: Final = 5
"""The burst of a run, as seconds of its rate."""

_NOTHING: Final = LogOptions(NO_RECORDS, captures_stdout=False, lines_per_second=1.0)


class LogForwarder:
    """Sends the lines of one run.

    Args:
        tracker: The tracker of the run.
        options: What is streamed; None for nothing, so that lines of this run are not taken for
            those of the enclosing one.
        outer: The forwarder of the enclosing run (of an eager ``apply``).
        streams_tracebacks: Whether tracebacks may leave the worker.
    """

    __slots__ = (
        "__weakref__",
        "_bucket",
        "_left_out",
        "_printed",
        "captures_stdout",
        "closed",
        "level",
        "older_threads",
        "outer",
        "streams_tracebacks",
        "tracker",
    )

    def __init__(
        self,
        tracker: Tracker,
        options: LogOptions | None,
        outer: LogForwarder | None = None,
        *,
        streams_tracebacks: bool = False,
    ) -> None:
        options = options or _NOTHING
        rate = options.lines_per_second
        self.tracker = tracker
        self.level = options.level
        self.captures_stdout = options.captures_stdout
        self.outer = outer
        self.streams_tracebacks = streams_tracebacks
        self.closed = False
        """Whether its run has ended; later lines are dropped."""
        self.older_threads = frozenset(threading.enumerate())
        """The threads that were there before the run, and so are not of it."""
        self._bucket = TokenBucket(rate, max(1.0, rate * BURST_SECONDS), monotonic())
        self._left_out = 0
        self._printed: dict[int, LineSplitter] = {}

    def admits(self) -> bool:
        """Return whether a line may be sent now; else it is counted as left out."""
        if self.closed:
            return False
        if not self._bucket.take(monotonic()):
            self._left_out += 1
            return False
        if self._left_out:
            self._count_left_out()
        return True

    def send(
        self, level: Level, message: str, name: str, details: dict[str, Any], timestamp: float
    ) -> None:
        """Send a line that was admitted.

        Args:
            level: Its level.
            message: Its text, cut to 2,000 bytes.
            name: The name of its logger, cut to 500 bytes.
            details: Other values; what the task's ``redact`` names is hidden.
            timestamp: Epoch seconds.
        """
        tracker = self.tracker
        if details and tracker.redactor is not None:
            details = tracker.redactor.to_object(details)
        if tracker.sink is not None and not tracker.ended:
            tracker.emitted += 1
            event = encoded_events.log(tracker.run, timestamp, level, message, details, logger=name)
            tracker.sink.emit((event,))

    def printed_lines(self, text: str) -> list[str]:
        """Take a piece of text that a thread printed; return the lines that it ends.

        Each thread has a line of its own, so that those of several do not mix.
        """
        thread = threading.get_ident()
        splitter = self._printed.get(thread) or self._printed.setdefault(thread, LineSplitter())
        lines = splitter.feed(text)
        if splitter.is_empty:
            self._printed.pop(thread, None)
        return lines

    def unended_lines(self) -> list[str]:
        """Return the lines that were begun and not ended."""
        begun, self._printed = self._printed, {}
        return [splitter.rest() for splitter in list(begun.values())]

    def close(self) -> None:
        """Drop later lines; say how many were left out."""
        self.closed = True
        if self._left_out:
            self._count_left_out()

    def _count_left_out(self) -> None:
        count, self._left_out = self._left_out, 0
        lines = "1 line was" if count == 1 else f"{count:,} lines were"
        message = f"{lines} left out: there were too many (wsprogress_stream_logs_rate)"
        self.send("warning", message, "celery_wsprogress", {}, time())
