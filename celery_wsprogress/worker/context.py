"""The run whose code this is, and the functions for code that has no ``self``.

The tracker of the current run is kept in a :class:`~contextvars.ContextVar`: helper functions
find it without being handed anything, and so does a thread that was started with
``contextvars.copy_context().run``. The methods of a task find its run from any thread, as long as
there is one run of it in the process (:func:`tracker_of`).
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.worker.progress_args import parse_progress
from celery_wsprogress.worker.steps import Steps

if TYPE_CHECKING:
    from celery_wsprogress.worker.tracker import Tracker

#: The run whose code this is; None outside of operations that are followed.
current_tracker: ContextVar[Tracker | None] = ContextVar("celery_wsprogress.tracker", default=None)


logger = logging.getLogger(__name__)

#: The runs of this process, by the identity of their trackers: threads that a task starts, and
#: pools of threads that are older than it, do not have its context.
_active_trackers: Final[dict[int, Tracker]] = {}
_logged: Final[set[tuple[str, str]]] = set()


def enter(tracker: Tracker) -> None:
    """A run begins in this context; what went on here before is over."""
    before = current_tracker.get()
    if before is not None and before is not tracker.parent:
        _active_trackers.pop(id(before), None)
    current_tracker.set(tracker)
    _active_trackers[id(tracker)] = tracker


def leave(tracker: Tracker) -> None:
    """A run is over in this context."""
    current_tracker.set(tracker.parent)
    _active_trackers.pop(id(tracker), None)


def active_tracker(operation_id: str) -> Tracker | None:
    """The tracker of a run of this process, whichever thread asks."""
    found = [one for one in list(_active_trackers.values()) if one.run.operation_id == operation_id]
    return found[-1] if found else None


def tracker_of(task: Any) -> Tracker | None:
    """The tracker for which a method of the task speaks.

    That of the context; in a thread without one that of the task's run in this process. Where
    several go on (in a pool of threads or greenlets), nobody can know which one is meant.
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
            "a thread of it reports while several runs of the task go on here, and does not say "
            "for which one; nothing of it is shown. Start the thread with "
            "contextvars.copy_context().run, or with asyncio.to_thread",
        )
    else:
        _log_once(logging.DEBUG, name, "a thread reports for it when no run of it goes on here")
    return None


def _current(function: str) -> Tracker | None:
    """The tracker of the context, for a function without ``self``."""
    tracker = current_tracker.get()
    if tracker is None and _active_trackers:
        _log_once(
            logging.WARNING,
            f"{function}()",
            "called in a thread that does not know for which task, while one runs in this "
            "process; nothing of it is shown. Start the thread with "
            "contextvars.copy_context().run, or call the method of the task's self",
        )
    return tracker


def _log_once(level: int, who: str, sentence: str) -> None:
    """Say it once a process."""
    key = who, sentence
    if key not in _logged:
        _logged.add(key)
        logger.log(level, "%s: %s", who, sentence)


def find_tracker(operation_id: object) -> Tracker | None:
    """The tracker of this operation, where it is its code that runs, or an operation inside it."""
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
    """EncodedEvent the progress of the task that runs; outside of one only check the arguments.

    As :meth:`celery_wsprogress.StreamingTask.update_progress`, for code that has no ``self``.
    """
    tracker = _current("update_progress")
    if tracker is None:
        parse_progress(progress, message, current, total)
    else:
        tracker.update_progress(progress, message, current, total, unit, details)


def update_status(status: Any, message: Any = "", details: Any = None) -> None:
    """Put a word of one's own on the task that runs; outside of one do nothing.

    As :meth:`celery_wsprogress.StreamingTask.update_status`, for code that has no ``self``.
    """
    tracker = _current("update_status")
    if tracker is not None:
        tracker.update_status(status, message, details)


def set_metadata(**metadata: Any) -> None:
    """Say something about the operation of the task that runs; outside of one do nothing.

    As :meth:`celery_wsprogress.StreamingTask.set_metadata`, for code that has no ``self``.
    """
    tracker = _current("set_metadata")
    if tracker is not None:
        tracker.set_metadata(**metadata)


def log(level: Any, message: Any, **details: Any) -> None:
    """Send a line to those who watch the task that runs; outside of one do nothing.

    As :meth:`celery_wsprogress.StreamingTask.log`, for code that has no ``self``.
    """
    tracker = _current("log")
    if tracker is not None:
        tracker.log(level, message, **details)


def steps(total: Any) -> Steps:
    """Count the steps of the task that runs; outside of one only count.

    As :meth:`celery_wsprogress.StreamingTask.steps`, for code that has no ``self``.
    """
    tracker = _current("steps")
    return Steps(total) if tracker is None else tracker.steps(total)
