"""The beginning and the end of a run, for its lines. :mod:`.signals.task_process` calls this."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery_wsprogress.worker.logs import handler, stdout
from celery_wsprogress.worker.logs.current import current_forwarder, open_forwarders
from celery_wsprogress.worker.logs.forwarder import LogForwarder

if TYPE_CHECKING:
    from celery_wsprogress.worker.logs.options import LogOptions
    from celery_wsprogress.worker.tracker import Tracker


def begin(tracker: Tracker, options: LogOptions | None, *, streams_tracebacks: bool) -> None:
    """Stream the lines of the run that begins in this context.

    Args:
        tracker: Its tracker.
        options: What is streamed of it; None for nothing.
        streams_tracebacks: Whether tracebacks may leave the worker.
    """
    # Without an enclosing run a forwarder that is still there is of one that was not left.
    outer = None if tracker.parent is None else current_forwarder.get()
    if tracker.sink is None or (options is None and outer is None):
        # Lines of an eager run that nobody can watch are those of the enclosing one.
        current_forwarder.set(outer)
        return
    if options is None:
        current_forwarder.set(LogForwarder(tracker, None, outer))
        return
    forwarder = LogForwarder(tracker, options, outer, streams_tracebacks=streams_tracebacks)
    current_forwarder.set(forwarder)
    open_forwarders[forwarder] = None
    handler.install()
    if options.captures_stdout:
        stdout.install()


def finish(tracker: Tracker) -> None:
    """Send what is left, before the end of the run is sent. Later lines are dropped."""
    forwarder = _forwarder_of(tracker)
    if forwarder is not None and not forwarder.closed:
        open_forwarders.pop(forwarder, None)
        stdout.send_lines(forwarder, forwarder.unended_lines())
        forwarder.close()


def leave(tracker: Tracker) -> None:
    """Finish, and make the forwarder of the enclosing run the current one again."""
    forwarder = _forwarder_of(tracker)
    if forwarder is not None:
        finish(tracker)
        current_forwarder.set(forwarder.outer)


def _forwarder_of(tracker: Tracker) -> LogForwarder | None:
    forwarder = current_forwarder.get()
    while forwarder is not None and forwarder.tracker is not tracker:
        forwarder = forwarder.outer
    return forwarder
