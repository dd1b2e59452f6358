"""The default base class of an app, kept beside ``base=StreamingTask``, which would replace it.

It comes from ``Celery(task_cls=…)`` (Flask's application context, a tenant's schema), or is
Celery's own for Django, with ``delay_on_commit``.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from celery import Task
from kombu.utils.imports import symbol_by_name

logger = logging.getLogger(__name__)

_DJANGO_TASK: Final = "celery.contrib.django.task:DjangoTask"
"""The default base that Celery's fixup for Django sets (celery 5.4, celery/fixups/django.py)."""


def add_default_base(cls: Any, app: Any) -> None:
    """Add the app's default base to the bases of a task class, after ``StreamingTask``.

    Only to a class that ``@app.task`` created from ``StreamingTask`` itself: a project's own base
    class replaces the default one in Celery, too. A second call does nothing.

    Args:
        cls: The task class.
        app: Its app.
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
                logger.warning("%s cannot have the base %r of its app as well", cls.name, base)


def _default_base(app: Any) -> Any:
    """Return ``app.Task``, which a project may also assign; None where that is not a class."""
    try:
        found = app.Task
    except Exception:
        logger.debug("The app's default base cannot be loaded", exc_info=True)
        return None
    return found if isinstance(found, type) else None


def _has_base_of_its_own(cls: Any, default: Any) -> bool:
    """Return whether a project has written a base class for this task in particular."""
    return any(
        issubclass(one, Task)
        and one not in default.__mro__
        and not one.__module__.startswith(_OURS)
        for one in cls.__mro__[1:]
    )


_OURS: Final = "celery_wsprogress."


def _base_of_django(app: Any, default: Any) -> Any:
    """Return Django's base where a project made ours the default: the fixup keeps that one."""
    fixed = any(type(one).__name__ == "DjangoFixup" for one in getattr(app, "_fixups", ()))
    streams = getattr(default, "_streams_progress", False)
    return symbol_by_name(_DJANGO_TASK) if fixed and streams else None  # type: ignore[no-untyped-call]


def _joined(bases: tuple[Any, ...], default: Any) -> tuple[Any, ...]:
    """Return the bases with the default last, or in the place of a base of its own."""
    kept = tuple(default if issubclass(default, base) else base for base in bases)
    return tuple(dict.fromkeys((*kept, default)))
