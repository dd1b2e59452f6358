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
    if not vars(cls).get("_decorated") or _has_base_of_its_own(cls, app):
        return
    for base in _default_bases(app):
        if not issubclass(cls, base):
            try:
                cls.__bases__ = (*cls.__bases__, base)
            except TypeError:
                logger.warning("%s cannot have the base %r of its app, too", cls.name, base)


def _has_base_of_its_own(cls: Any, app: Any) -> bool:
    """Whether somebody has written a base class for this task in particular."""
    chosen = _class_of(app.task_cls)
    defaults = chosen.__mro__ if chosen is not None else ()
    return any(
        issubclass(one, Task)
        and one not in {Task, app.Task, *defaults}
        and not one.__module__.startswith(_OURS)
        for one in cls.__mro__[1:]
    )


_OURS: Final = "celery_wsprogress."


def _default_bases(app: Any) -> list[Any]:
    found = [_class_of(app.task_cls)]
    if any(type(one).__name__ == "DjangoFixup" for one in getattr(app, "_fixups", ())):
        # Where a project has made ours the default, the fixup has left it at that.
        found.append(_class_of(_DJANGO_TASK) if _is_ours(found[0]) else None)
    return [base for base in found if base is not None]


def _is_ours(base: Any) -> bool:
    return base is not None and any(one.__module__.startswith(_OURS) for one in base.__mro__)


def _class_of(named: Any) -> Any:
    """The class, where it can be loaded."""
    try:
        found = symbol_by_name(named)  # type: ignore[no-untyped-call]
    except Exception:
        logger.debug("The app's default base %r cannot be loaded", named, exc_info=True)
        return None
    return found if isinstance(found, type) else None
