"""The tracker of the current run, and the functions for code that has no ``self``.

A :class:`~contextvars.ContextVar` holds it for functions that the task calls, and for threads
started with :func:`copy_context`. The methods of a task find its run from any thread,
if the process has only one of it (:func:`tracker_of`).
"""

from __future__ import annotations

import contextvars
import functools
import logging
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from celery_wsprogress.worker.progress_args import parse_progress
from celery_wsprogress.worker.run_context import run_context
from celery_wsprogress.worker.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import ContextVar

    from celery_wsprogress.worker.tracker import Tracker

P = ParamSpec("P")
R = TypeVar("R")

#: The tracker of the current run; None outside of operations that are published.
current_tracker: ContextVar[Tracker | None] = run_context

logger = logging.getLogger(__name__)

#: The active trackers of this process by ``id()``. Threads that a task starts, and older pools of
#: threads, do not have its context.
_active_trackers: Final[dict[int, Tracker]] = {}
_logged: Final[set[tuple[str, str]]] = set()


def enter(tracker: Tracker) -> None:
    """Make this tracker the current one of the context."""
    # A run that was not left here, of a thread that was killed, is over.
    before = current_tracker.get()
    if before is not None and before is not tracker.parent:
        _active_trackers.pop(id(before), None)
    current_tracker.set(tracker)
    _active_trackers[id(tracker)] = tracker


def leave(tracker: Tracker) -> None:
    """Make the tracker's parent the current one again."""
    current_tracker.set(tracker.parent)
    _active_trackers.pop(id(tracker), None)


def active_tracker(operation_id: str) -> Tracker | None:
    """Return the newest active tracker of this operation in the process; any thread may ask."""
    found = [one for one in list(_active_trackers.values()) if one.run.operation_id == operation_id]
    return found[-1] if found else None


def tracker_of(task: Any) -> Tracker | None:
    """Return the tracker to which a method of the task reports.

    It is that of the context or, in a thread without one, of the task's only run in this process.
    Of several (in a pool of threads or greenlets) the right one cannot be known: None, and one
    warning.
    """
    tracker = current_tracker.get()
    if tracker is not None or not _active_trackers:
        return tracker
    name = task.name
    found = [one for one in list(_active_trackers.values()) if one.run.operation_type == name]
    if len(found) == 1:
        return found[0]
    if found:
        _log_once(
            logging.WARNING,
            name,
            "a thread of it reports while several runs of the task are active in this process; its "
            "reports are dropped, since their run is not known. Start the thread with "
            "contextvars.copy_context().run, or with asyncio.to_thread",
        )
    else:
        _log_once(logging.DEBUG, name, "a thread reports for it while no run of it is active here")
    return None


def tracker_in_context(function: str) -> Tracker | None:
    """Return the tracker of the context, for a function without ``self``."""
    tracker = current_tracker.get()
    if tracker is None and _active_trackers:
        _log_once(
            logging.WARNING,
            f"{function}()",
            "called in a thread that does not know its task, while one runs in this process; its "
            "reports are dropped. Start the thread with "
            "contextvars.copy_context().run, or call the method of the task's self",
        )
    return tracker


def _log_once(level: int, who: str, sentence: str) -> None:
    """Log a sentence once a process."""
    key = who, sentence
    if key not in _logged:
        _logged.add(key)
        logger.log(level, "%s: %s", who, sentence)


def copy_context(function: Callable[P, R]) -> Callable[P, R]:
    """Return the function such that it runs in the context of this call: it knows its task.

    .. code-block:: python

        with ThreadPoolExecutor() as pool:
            pool.map(copy_context(read_rows), files)

    For threads, and for pools of threads that do not carry the context themselves, as
    ``asyncio.to_thread`` does. Several threads may call the returned function at once: each call
    runs in a copy of the context.

    Args:
        function: Any callable that is not asynchronous.
    """
    context = contextvars.copy_context()

    @functools.wraps(function)
    def run(*arguments: P.args, **named: P.kwargs) -> R:
        return context.copy().run(function, *arguments, **named)

    return run


def find_tracker(operation_id: object) -> Tracker | None:
    """Return the tracker of this operation, if the context is in it or in an operation inside."""
    tracker = current_tracker.get()
    while tracker is not None and tracker.run.operation_id != operation_id:
        tracker = tracker.parent
    return tracker


def update_progress(
    progress: Any = None,
    message: Any = "",
    *,
    current: Any = None,
    total: Any = None,
    unit: Any = None,
    details: Any = None,
) -> None:
    """Report progress of the current task or operation; outside of one only check the arguments.

    See :meth:`celery_wsprogress.StreamingTask.update_progress`.
    """
    tracker = tracker_in_context("update_progress")
    if tracker is None:
        parse_progress(progress, message, current, total)
    else:
        tracker.update_progress(progress, message, current, total, unit, details)


def update_status(status: Any, message: Any = "", details: Any = None) -> None:
    """Report a status of the current task or operation; outside of one do nothing.

    See :meth:`celery_wsprogress.StreamingTask.update_status`.
    """
    tracker = tracker_in_context("update_status")
    if tracker is not None:
        tracker.update_status(status, message, details)


def set_metadata(**metadata: Any) -> None:
    """Add metadata to the current task or operation; outside of one do nothing.

    See :meth:`celery_wsprogress.StreamingTask.set_metadata`.
    """
    tracker = tracker_in_context("set_metadata")
    if tracker is not None:
        tracker.set_metadata(**metadata)


def log(level: Any, message: Any, **details: Any) -> None:
    """Send a log line of the current task or operation; outside of one do nothing.

    See :meth:`celery_wsprogress.StreamingTask.log`.
    """
    tracker = tracker_in_context("log")
    if tracker is not None:
        tracker.log(level, message, **details)


def steps(total: Any) -> Steps:
    """Return a step counter of the current task or operation; outside of one it only counts.

    See :meth:`celery_wsprogress.StreamingTask.steps`.
    """
    tracker = tracker_in_context("steps")
    return Steps(total) if tracker is None else tracker.steps(total)
