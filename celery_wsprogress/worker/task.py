"""``StreamingTask``: the base class of tasks that say how far they are."""

from __future__ import annotations

from typing import Any

from celery import Task

from celery_wsprogress.worker import context, sending_apps
from celery_wsprogress.worker.bind_self import bind_self
from celery_wsprogress.worker.default_base import add_default_base
from celery_wsprogress.worker.progress_args import parse_progress
from celery_wsprogress.worker.signals import caller, handlers
from celery_wsprogress.worker.steps import Steps

_current = context.current_tracker.get
_tracker_of = context.tracker_of


class StreamingTask(Task):
    """A Celery task whose life and progress can be watched while it runs.

    .. code-block:: python

        @app.task(base=StreamingTask)
        def index(self, folder):
            for n, file in enumerate(files := list_files(folder), 1):
                ...
                self.update_progress(current=n, total=len(files), message=file.name)

    A first parameter named ``self`` binds the task, with or without ``bind=True``. The class
    also serves ``@shared_task(base=…)``, ``Celery(task_cls=…)``, tasks written as classes, and
    stands beside a project's own base class, in either order.

    Every method may be called from the task and from what it calls. Where a task is called
    directly, from anywhere, nothing is sent; inside another task it speaks for that one, as a
    function would. A task that is run eagerly is sent as ``wsprogress_eager`` says.
    None of the methods makes a network call or waits for one, and none raises for what a network
    does.
    """

    stream_result: bool | None = None
    """Whether the task's result leaves with its events. None: as ``wsprogress_stream_result``
    says."""

    stream_errors: str | None = None
    """What leaves of the task's errors: ``"full"`` is their type and text, ``"type"`` their type
    only. None: as ``wsprogress_stream_errors`` says; where that says nothing either, ``"type"`` of
    a task whose result does not leave, else ``"full"``."""

    _streams_progress = True

    def __init_subclass__(cls, **keywords: Any) -> None:
        # Before the class is ready, so that the default base takes part in making the task.
        add_default_base(cls, vars(cls).get("app"))
        super().__init_subclass__(**keywords)
        bind_self(cls)
        handlers.connect()

    @classmethod
    def bind(cls, app: Any) -> Any:
        """Connect the task to its app. Celery calls it.

        What ``__init_subclass__`` does is done here once more, for projects whose own base class
        has one that does not call ``super()``.
        """
        bind_self(cls)
        add_default_base(cls, app)
        handlers.connect()
        bound = super().bind(app)
        if cls.name:
            sending_apps.register_task(cls.name, app)
        return bound

    def on_replace(self, sig: Any) -> Any:
        """Hand the operation on to the task that replaces this one. Celery calls it."""
        tracker = context.find_tracker(self.request.id)
        if tracker is not None and tracker.sink is not None:
            caller.inherit_header(sig, tracker, self.app)
        return super().on_replace(sig)

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
        """EncodedEvent how far the task is. Cheap enough to be called in an inner loop.

        The newest report replaces one that has not been sent yet; the last one before a pause
        always arrives.

        Args:
            progress: The fraction that is done, 0.0 to 1.0. Without it the fraction follows from
                ``current`` and ``total``; without those the progress is indeterminate.
            message: What the task does, for a person to read.
            current: How many units are done.
            total: How many there are.
            unit: What they are ("files").
            details: Anything else, as a mapping.

        The numbers may be of any type that ``float()`` takes. What is out of range is clamped,
        NaN is indeterminate; both are answered with advice in the log, once a run.

        Raises:
            TypeError: ``progress``, ``current`` or ``total`` is no number (``bool`` and ``str``
                are none).
        """
        tracker = _current() or _tracker_of(self)
        if tracker is None:
            parse_progress(progress, message, current, total)
        else:
            tracker.update_progress(progress, message, current, total, unit, details)

    def update_status(self, status: Any, message: Any = "", details: Any = None) -> None:
        """Put a word of the task's own on what it does, such as ``"uploading"``.

        It is a label and changes nothing in the task's life; a word of the life cycle
        (``queued``, ``received``, ``started``, ``retrying``) is shown with a capital.

        Args:
            status: The word.
            message: What the task does, for a person to read.
            details: Anything else, as a mapping.
        """
        tracker = _tracker_of(self)
        if tracker is not None:
            tracker.update_status(status, message, details)

    def log(self, level: Any, message: Any, **details: Any) -> None:
        """Send a line to those who watch. None is left out.

        Args:
            level: ``debug``, ``info``, ``warning``, ``error``, ``critical``, or one of Python's
                level numbers.
            message: The line.
            details: Anything else.
        """
        tracker = _tracker_of(self)
        if tracker is not None:
            tracker.log(level, message, **details)

    def steps(self, total: Any) -> Steps:
        """Count steps instead of computing fractions.

        .. code-block:: python

            steps = self.steps(len(files))
            for file in files:
                steps.step(f"Reading {file.name}")

        ``step(message, details=None)`` takes one and reports it, ``complete()`` reports the last
        one, ``current_step`` and ``total_steps`` say how far it is. The result of the task is
        what it returns: ``complete(result)`` does not look at its argument in a task.

        Args:
            total: How many there are; 0 where nobody knows.

        Raises:
            TypeError: ``total`` is no number.
        """
        tracker = _tracker_of(self)
        return Steps(total) if tracker is None else tracker.steps(total)

    def set_metadata(self, **metadata: Any) -> None:
        """Say something about the operation as a whole; earlier words of other names stay.

        It is sent at once, with a status event that repeats the current word, so that it is
        there also when the task says nothing else for a long time.
        """
        tracker = _tracker_of(self)
        if tracker is not None:
            tracker.set_metadata(**metadata)
