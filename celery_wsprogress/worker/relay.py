"""``relay()``: a handle for child processes of a task, with which they report for it.

A forked child has a copy of the task's context, and finds its task without. Any other one (of
``spawn`` and ``forkserver``) knows nothing of it. There the handle opens a publisher of its own to
the same broker, with the same settings: a child neither waits for the task nor the task for it.
What it reports after the end of the task is dropped by the sidecar, as of any other late writer.
"""

from __future__ import annotations

import atexit
import functools
import pickle
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celery_wsprogress import brokers
from celery_wsprogress.guard import call_safely
from celery_wsprogress.worker.context import tracker_in_context
from celery_wsprogress.worker.progress_args import parse_progress
from celery_wsprogress.worker.publishing.publishers import (
    children,
    drain_all,
    open_publisher,
    origin_of,
)
from celery_wsprogress.worker.redaction import hide_everything
from celery_wsprogress.worker.tracker import Tracker

if TYPE_CHECKING:
    from celery_wsprogress.settings import WorkerSettings
    from celery_wsprogress.worker.publishing.publisher import Publisher
    from celery_wsprogress.worker.redaction import Redactor
    from celery_wsprogress.worker.run_info import RunInfo

DRAIN: Final = 2.0
"""Seconds that a child waits at its end for its last events, as the task may wait for it."""


class RelayedRun(NamedTuple):
    """What a child is told of the run: it holds the broker's address with its password."""

    run: RunInfo
    address: brokers.BrokerAddress
    settings: WorkerSettings
    redactor: Redactor | None


def relay() -> Relay:
    """Return a handle that child processes are given, with which they report for this task.

    .. code-block:: python

        handle = relay()
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            list(pool.map(functools.partial(work, handle), files))

    Outside of a task and an operation its methods only check their arguments. Pickled, it contains
    the address of the broker with its password: give it to children, and store it nowhere.
    """
    return Relay(tracker_in_context("relay"))


class Relay:
    """Reports for a task from its child processes; made by :func:`relay`. Nothing blocks.

    Args:
        tracker: The task's; None to report nothing.
    """

    def __init__(self, tracker: Tracker | None) -> None:
        self._tracker = tracker

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (_state_of(self._tracker),)

    def update_progress(
        self,
        progress: Any = None,
        message: Any = "",
        *,
        current: Any = None,
        total: Any = None,
        unit: Any = None,
        details: Any = None,
    ) -> None:
        """Report progress; see :meth:`celery_wsprogress.StreamingTask.update_progress`.

        Each report replaces the one before, also that of another child.
        """
        if self._tracker is None:
            parse_progress(progress, message, current, total)
        else:
            self._tracker.update_progress(progress, message, current, total, unit, details)

    def update_status(self, status: Any, message: Any = "", details: Any = None) -> None:
        """Report a status; see :meth:`celery_wsprogress.StreamingTask.update_status`."""
        if self._tracker is not None:
            self._tracker.update_status(status, message, details)

    def log(self, level: Any, message: Any, **details: Any) -> None:
        """Send a log line; see :meth:`celery_wsprogress.StreamingTask.log`."""
        if self._tracker is not None:
            self._tracker.log(level, message, **details)


def _state_of(tracker: Tracker | None) -> bytes | None:
    """Return a pickled :class:`RelayedRun`; None if there is nothing to report to."""
    sink: Any = None if tracker is None else tracker.sink
    origin = None if sink is None else origin_of(sink)
    if tracker is None or origin is None:
        return None
    state = RelayedRun(tracker.run, *origin, tracker.redactor)
    try:
        return pickle.dumps(state)
    except Exception:  # noqa: BLE001 - a function of the user that cannot be pickled
        return pickle.dumps(state._replace(redactor=hide_everything(tracker.run.operation_type)))


def _restored(state: bytes | None) -> Relay:
    return Relay(None if state is None else call_safely(_tracker, state))


@functools.lru_cache(maxsize=64)
def _tracker(state: bytes) -> Tracker:
    """Return the tracker of this process for a run: a pool pickles the handle for each item."""
    found: RelayedRun = pickle.loads(state)  # noqa: S301 - as the handle itself
    publisher = _publisher(pickle.dumps((found.address, found.settings)))
    return Tracker(found.run, publisher, redactor=found.redactor)


@functools.lru_cache(maxsize=8)
def _publisher(origin: bytes) -> Publisher:
    address, settings = pickle.loads(origin)  # noqa: S301 - made above
    brokers.prepare(address)
    atexit.register(drain_all, DRAIN)
    # A child of multiprocessing may end without atexit.
    children.arrange()
    return open_publisher(address, settings)
