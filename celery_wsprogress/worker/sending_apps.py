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

#: The app that publishes in this context, and the name of the task.
_publishing: ContextVar[tuple[Any, str] | None] = ContextVar(
    "celery_wsprogress.publishing", default=None
)


def register_task(name: str, app: Any) -> None:
    """Record that the app has a ``StreamingTask`` of this name."""
    app = unproxied(app)
    _streaming.setdefault(name, weakref.WeakSet()).add(app)
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
    found = _publishing.get()
    # Another app may publish in between, for instance from a handler of the signals.
    if found is None or found[1] != sender:
        return None
    return found[0], found[0] in _streaming.get(name, ())
