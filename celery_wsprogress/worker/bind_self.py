"""Bind a decorated function whose first parameter is named ``self``, also without ``bind=True``.

Celery binds before it creates the task's class (celery 5.7, celery/app/base.py,
``_task_from_fun``), so the class gets afterwards what ``bind=True`` would have given it.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

_POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}


def bind_self(cls: Any) -> None:
    """Bind the function of a class that ``@app.task`` created. Any other class stays as it is."""
    run = vars(cls).get("run")
    if not vars(cls).get("_decorated") or not isinstance(run, staticmethod):
        return
    function: Any = run.__func__
    if not _wants_self(function):
        return
    cls.run = function
    cls.__wrapped__ = function
    # The check of a call's arguments must count `self`; so must the dump of pydantic models below.
    cls.__header__ = vars(cls)["app"].type_checker(function, bound=True)
    # Since celery 5.7; in 5.5 the wrapped function dumps them itself (celery/app/base.py).
    if getattr(cls, "_dump_pydantic_arguments", None) is not None:
        dump = functools.partial(function.dump_arguments, bound=True)
        cls._dump_pydantic_arguments = staticmethod(dump)


def _wants_self(function: Any) -> bool:
    try:
        first = next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):
        return False
    return first is not None and first.name == "self" and first.kind in _POSITIONAL
