"""``StreamingTask``: the base class of tasks that report progress.

Its methods report to the tracker of the current run (:mod:`.context`). Creating a task class
connects Celery's signals (:mod:`.signals.handlers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import Task

from celery_wsprogress.worker import context, sending_apps
from celery_wsprogress.worker.bind_self import bind_self
from celery_wsprogress.worker.cancel.checks import raise_cancelled, reason_of_id, reason_of_run
from celery_wsprogress.worker.capture.block import capture_of
from celery_wsprogress.worker.capture.update_state import report_of_task
from celery_wsprogress.worker.default_base import add_default_base
from celery_wsprogress.worker.progress_args import parse_progress
from celery_wsprogress.worker.signals import caller, handlers
from celery_wsprogress.worker.steps import Steps
from celery_wsprogress.worker.stream_methods import StreamMethods
from celery_wsprogress.worker.track_methods import TrackMethods

if TYPE_CHECKING:
    from celery_wsprogress.worker.tracker import Tracker

if TYPE_CHECKING:
    from celery_wsprogress.worker.capture.bars import BarCapture

_current = context.current_tracker.get
_tracker_of = context.tracker_of


class StreamingTask(TrackMethods, StreamMethods, Task):
    """A Celery task whose life cycle and progress can be watched while it runs.

    .. code-block:: python

        @app.task(base=StreamingTask)
        def index(self, folder):
            for n, file in enumerate(files := list_files(folder), 1):
                ...
                self.update_progress(current=n, total=len(files), message=file.name)

    A first parameter named ``self`` binds the task, with or without ``bind=True``. The class works
    with ``@shared_task(base=…)``, ``Celery(task_cls=…)``, tasks written as classes, and beside
    another base class, in either order.

    The methods may be called from the task and from functions and threads that it calls. In a task
    that is called as a function they report for the enclosing task; without one they send nothing.
    Eager runs follow the setting ``wsprogress_eager``. No method waits for the network or raises an
    error of it.
    """

    stream_result: bool | None = None
    """Whether the events contain the task's result. None uses ``wsprogress_stream_result``."""

    stream_errors: str | None = None
    """The part of the task's errors in the events: ``"full"`` (type and text), ``"type"`` or
    ``"traceback"`` (all of it). None uses ``wsprogress_stream_errors``; if that is unset, too,
    ``"full"`` where the result is sent, else ``"type"``."""

    stream_logs: str | int | None = None
    """Level, such as ``"INFO"``, from which the log records that are made while the task runs
    become its ``log`` events. ``False`` for none. None uses ``wsprogress_stream_logs``."""

    capture_stdout: bool | None = None
    """Whether what the task prints becomes ``log`` events. None uses
    ``wsprogress_capture_stdout``."""

    expose_args: Any = ()
    """Names of the arguments that are shown as metadata of the operation. Others never leave the
    worker."""

    redact: Any = None
    """What hides parts of details, metadata and results: names, also with ``*``, whose values are
    replaced at any depth, or a function that takes such a value, as plain builtins, and returns
    what may be shown. If it raises an exception, nothing of the value is published."""

    capture_update_state: bool | None = None
    """Whether :meth:`update_state` with a state of one's own is progress, too. None uses
    ``wsprogress_capture_update_state``."""

    _streams_progress = True

    def __init_subclass__(cls, **keywords: Any) -> None:
        # First, so that the __init_subclass__ of the default base runs for this class, too.
        add_default_base(cls, vars(cls).get("app"))
        super().__init_subclass__(**keywords)
        bind_self(cls)
        handlers.connect()

    @classmethod
    def bind(cls, app: Any) -> Any:
        """Connect the task to its app. Celery calls it."""
        # Again, for a base class whose own __init_subclass__ does not call super().
        bind_self(cls)
        add_default_base(cls, app)
        handlers.connect()
        bound = super().bind(app)
        if cls.name:
            sending_apps.register_task(cls.name, app)
        return bound

    def on_replace(self, sig: Any) -> Any:
        """Pass the operation on to the task that replaces this one. Celery calls it."""
        tracker = context.find_tracker(self.request.id)
        if tracker is not None and tracker.sink is not None:
            caller.inherit_header(sig, tracker, self.app)
        return super().on_replace(sig)

    def retry(  # noqa: PLR0917 - as Celery's own
        self,
        args: Any = None,
        kwargs: Any = None,
        exc: Any = None,
        throw: bool = True,
        eta: Any = None,
        countdown: Any = None,
        max_retries: Any = None,
        **options: Any,
    ) -> Any:
        """Retry the task, as :meth:`celery.app.task.Task.retry`; watchers see the limit."""
        tracker = _tracker_of(self)
        if tracker is not None:
            tracker.max_retries = self.max_retries if max_retries is None else max_retries
        return super().retry(args, kwargs, exc, throw, eta, countdown, max_retries, **options)

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
        """Report progress. Cheap enough for an inner loop.

        A report replaces the one before if that is not sent yet; the last one is always sent.

        Args:
            progress: The fraction done, 0.0 to 1.0. If it is None, ``current / total`` counts;
                without these the progress is indeterminate.
            message: A text for people, cut to 2,000 bytes.
            current: The units done, 0 to ``total``.
            total: The number of units, above 0; None if it is not known.
            unit: The name of the units (``"files"``), cut to 500 bytes.
            details: A mapping; above 8,000 bytes a preview replaces it.

        Numbers may be of any type that ``float()`` accepts. A fraction out of range is clamped, NaN
        and infinity are indeterminate; each logs one warning a run.

        Raises:
            TypeError: ``progress``, ``current`` or ``total`` is not a number (nor are ``bool`` and
                ``str``).
        """
        tracker = _current() or _tracker_of(self)
        if tracker is None:
            parse_progress(progress, message, current, total)
        else:
            tracker.update_progress(progress, message, current, total, unit, details)

    def update_status(self, status: Any, message: Any = "", details: Any = None) -> None:
        """Report a status of your own, such as ``"uploading"``.

        It is a label: the operation's state does not change. A name of the life cycle (``queued``,
        ``scheduled``, ``received``, ``started``, ``retrying``) is capitalized; an empty one sends
        nothing. Each logs one warning a run.

        Args:
            status: The label, cut to 500 bytes.
            message: A text for people, cut to 2,000 bytes.
            details: As in :meth:`update_progress`.
        """
        tracker = _tracker_of(self)
        if tracker is not None:
            tracker.update_status(status, message, details)

    def log(self, level: Any, message: Any, **details: Any) -> None:
        """Send a log line to the watchers. Every line is sent, in order.

        Args:
            level: ``debug``, ``info``, ``warning``, ``error``, ``critical``, or a number of
                :mod:`logging`; any other is ``info``, with one warning a run.
            message: The line, cut to 2,000 bytes.
            details: Other values, as in :meth:`update_progress`.
        """
        tracker = _tracker_of(self)
        if tracker is not None:
            tracker.log(level, message, **details)

    def steps(self, total: Any) -> Steps:
        """Return a step counter, which reports progress with each step.

        .. code-block:: python

            steps = self.steps(len(files))
            for file in files:
                steps.step(f"Reading {file.name}")

        ``step(message, details=None)`` counts one step, ``complete()`` reports the last one,
        ``current_step`` and ``total_steps`` are the numbers. In a task ``complete(result)`` ignores
        its argument: the result of a task is its return value.

        Args:
            total: The number of steps; 0 if it is not known.

        Raises:
            TypeError: ``total`` is not a number.
        """
        tracker = _tracker_of(self)
        return Steps(total) if tracker is None else tracker.steps(total)

    def capture_tqdm(self) -> BarCapture:
        """Make the bars of tqdm and rich that are made in a ``with`` block progress of the task.

        .. code-block:: python

            with self.capture_tqdm():
                for row in tqdm(rows, desc="Importing", unit="rows"):
                    ...

        The outermost bar that is open counts. What a bar writes stays as it is; a disabled one is
        captured, too.
        """
        return capture_of(_tracker_of(self))

    def update_state(
        self, task_id: Any = None, state: Any = None, meta: Any = None, **named: Any
    ) -> None:
        """Write a state to the result backend, as :meth:`celery.app.task.Task.update_state`.

        The state ``PROGRESS`` is progress, too, and another one of your own a status, as of
        :meth:`update_status`. Numbers are read from ``current`` or ``done`` with ``total``,
        ``percent`` (0 to 100) or ``progress`` (0 to 1) of ``meta``, the message from
        ``description``, ``message`` or ``status``. See :attr:`capture_update_state`.
        """
        report_of_task(self, task_id, state, meta)
        super().update_state(task_id, state, meta, **named)

    def set_metadata(self, **metadata: Any) -> None:
        """Add values to the operation's metadata, and send it with the current status.

        Values under other names stay. Above 8,000 bytes a preview replaces all of it.
        """
        tracker = _tracker_of(self)
        if tracker is not None:
            tracker.set_metadata(**metadata)

    @property
    def cancelled(self) -> bool:
        """Whether the task was cancelled while it runs, by ``cancel`` or Celery's ``revoke()``.

        It costs a fraction of a microsecond, and is true within a second in every pool.

        .. code-block:: python

            while not self.cancelled:
                ...
        """
        return self._cancel_reason() is not None

    def raise_if_cancelled(self) -> None:
        """End the task if it was cancelled. Call it where stopping leaves nothing half done.

        Raises:
            TaskCancelled: The task was cancelled. If the task lets it pass, watchers are told
                ``cancelled``, and the result backend has ``REVOKED``.
        """
        reason = self._cancel_reason()
        if reason is not None:
            raise_cancelled(reason)

    def _reporting_tracker(self) -> Tracker | None:
        return _tracker_of(self)

    def _cancel_reason(self) -> str | None:
        tracker = _current() or _tracker_of(self)
        return reason_of_id(self.request.id) if tracker is None else reason_of_run(tracker)
