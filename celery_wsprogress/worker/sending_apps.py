"""Which app sends a message: Celery's signals about publishing name a task, and no app."""

from __future__ import annotations

import functools
import weakref
from contextvars import ContextVar
from typing import Any

from celery_wsprogress.worker.apps import unproxied

_streaming: dict[str, weakref.WeakSet[Any]] = {}
_registered_apps: weakref.WeakSet[Any] = weakref.WeakSet()

#: The app that publishes here, and the name of the task.
_publishing: ContextVar[tuple[Any, str] | None] = ContextVar(
    "celery_wsprogress.publishing", default=None
)


def register_task(name: str, app: Any) -> None:
    """This app has a ``StreamingTask`` of this name."""
    app = unproxied(app)
    _streaming.setdefault(name, weakref.WeakSet()).add(app)
    register_app(app)


def register_app(app: Any) -> None:
    """Have the messages of this app known as its own.

    The least that does: an attribute of this one app. All that publishes a task calls its
    ``send_task``, by name or not (celery 5.7: ``Task.apply_async``, ``Signature``, beat); neither
    Celery's classes nor other apps are touched, and no configuration is read before its time.
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
            # Looked up now: what instruments Celery changes its class, perhaps after us.
            return (
                own(name, *args, **options)
                if own
                else type(app).send_task(app, name, *args, **options)
            )
        finally:
            _publishing.reset(token)

    app.send_task = send_task


def app_publishing(sender: str, name: str) -> tuple[Any, bool] | None:
    """The app that publishes this message; None of an app that has nothing to do with us.

    Args:
        sender: The task of the message.
        name: The task it is about: ``celery.map`` has another one inside.

    Returns:
        The app, and whether the task is a ``StreamingTask`` of it.
    """
    found = _publishing.get()
    # Another app may publish in between: a handler of Celery's own signals, for instance.
    if found is None or found[1] != sender:
        return None
    return found[0], found[0] in _streaming.get(name, ())
