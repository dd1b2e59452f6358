"""What a task keeps of the base class that its app would have given it.

``@app.task`` makes a class of the app's own default base: that of ``Celery(task_cls=…)`` (Flask's
application context, a tenant's schema), or Celery's own for Django, with ``delay_on_commit``.
``base=StreamingTask`` takes its place, so it is put behind ours.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from celery import Task
from kombu.utils.imports import symbol_by_name

logger = logging.getLogger(__name__)

_DJANGO_TASK: Final = "celery.contrib.django.task:DjangoTask"
"""What Celery's fixup for Django makes the default where nobody has chosen one (celery 5.4,
fixups/django.py)."""


def add_default_base(cls: Any, app: Any) -> None:
    """Put the app's default base behind ``StreamingTask`` among the bases of a task's class.

    Only of a class that ``@app.task`` made of ``StreamingTask`` itself: a base class of the
    project's own takes the place of the default one in Celery, too. Does nothing when called
    again.

    Args:
        cls: The task's class.
        app: The app that it is bound to.
    """
    if not vars(cls).get("_decorated"):
        return
    default = _default_base(app)
    if default is None or _has_base_of_its_own(cls, default):
        return
    for base in (default, _base_of_django(app, default)):
        if base is not None and not issubclass(cls, base):
            try:
                cls.__bases__ = _joined(cls.__bases__, base)
            except TypeError:
                logger.warning("%s cannot have the base %r of its app, too", cls.name, base)


def _default_base(app: Any) -> Any:
    """``app.Task``: made of ``task_cls``, or what a project has put in its place or onto it."""
    try:
        found = app.Task
    except Exception:
        logger.debug("The app's default base cannot be loaded", exc_info=True)
        return None
    return found if isinstance(found, type) else None


def _has_base_of_its_own(cls: Any, default: Any) -> bool:
    """Whether somebody has written a base class for this task in particular."""
    return any(
        issubclass(one, Task)
        and one not in default.__mro__
        and not one.__module__.startswith(_OURS)
        for one in cls.__mro__[1:]
    )


_OURS: Final = "celery_wsprogress."


def _base_of_django(app: Any, default: Any) -> Any:
    """Django's, where a project has made ours the default and the fixup has left it at that."""
    fixed = any(type(one).__name__ == "DjangoFixup" for one in getattr(app, "_fixups", ()))
    streams = getattr(default, "_streams_progress", False)
    return symbol_by_name(_DJANGO_TASK) if fixed and streams else None  # type: ignore[no-untyped-call]


def _joined(bases: tuple[Any, ...], default: Any) -> tuple[Any, ...]:
    """The default behind the bases, and in the place of one that it is made of itself."""
    kept = tuple(default if issubclass(default, base) else base for base in bases)
    return tuple(dict.fromkeys((*kept, default)))
