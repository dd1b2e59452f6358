"""The app that sends a message, for :mod:`.signals.caller`.

Celery's signals ``before_task_publish`` and ``after_task_publish`` name a task, and no app.
"""

from __future__ import annotations

import functools
import weakref
from contextvars import ContextVar
from typing import Any

from celery_wsprogress.worker.apps import unproxied

_streaming: dict[str, weakref.WeakSet[Any]] = {}
_registered_apps: weakref.WeakSet[Any] = weakref.WeakSet()
_apps_with_streaming_tasks: weakref.WeakSet[Any] = weakref.WeakSet()

#: The app that publishes in this context, and the name of the task.
_publishing: ContextVar[tuple[Any, str] | None] = ContextVar(
    "celery_wsprogress.publishing", default=None
)


def register_task(name: str, app: Any) -> None:
    """Record that the app has a ``StreamingTask`` of this name."""
    app = unproxied(app)
    _streaming.setdefault(name, weakref.WeakSet()).add(app)
    _apps_with_streaming_tasks.add(app)
    register_app(app)


def register_app(app: Any) -> None:
    """Wrap the app's ``send_task``, so that :func:`app_publishing` knows its messages.

    Everything that publishes a task calls it (celery 5.7: ``Task.apply_async``, ``Signature``,
    beat). Neither Celery's classes nor other apps change, and no configuration is read.
    """
    app = unproxied(app)
    if app in _registered_apps:
        return
    _registered_apps.add(app)
    own, known = vars(app).get("send_task"), weakref.ref(app)

    @functools.wraps(app.send_task)
    def send_task(name: Any, *args: Any, **options: Any) -> Any:
        app: Any = known()
        token = _publishing.set((app, str(name)))
        try:
            # Looked up at each call: tracing libraries patch the class, perhaps after us.
            return (
                own(name, *args, **options)
                if own
                else type(app).send_task(app, name, *args, **options)
            )
        finally:
            _publishing.reset(token)

    app.send_task = send_task


def app_publishing(sender: str, name: str) -> tuple[Any, bool] | None:
    """Return the app that publishes a message; None for an app that is not registered.

    Args:
        sender: The name of the message's task.
        name: The name of the task inside (of ``celery.map``), or the same.

    Returns:
        The app, and whether ``name`` is a ``StreamingTask`` of it.
    """
    app = sending_app(sender)
    return None if app is None else (app, streams(app, name))


def sending_app(sender: str) -> Any:
    """Return the app that publishes a message of this task; None for one that is not registered."""
    found = _publishing.get()
    # Another app may publish in between, for instance from a handler of the signals.
    return found[0] if found is not None and found[1] == sender else None


def is_registered(app: Any) -> bool:
    """Return whether the messages of an app are known."""
    return unproxied(app) in _registered_apps


def streams(app: Any, name: str) -> bool:
    """Return whether a registered app has a ``StreamingTask`` of this name."""
    return unproxied(app) in _streaming.get(name, ())


def has_streaming_tasks(app: Any) -> bool:
    """Return whether an app has any ``StreamingTask``."""
    return unproxied(app) in _apps_with_streaming_tasks
