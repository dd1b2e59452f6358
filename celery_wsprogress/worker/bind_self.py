"""A first parameter named ``self`` binds a decorated function, with or without ``bind=True``.

Celery decides that before it makes the task's class, so it is made good on the class: with what
``bind=True`` would have put there.
"""

from __future__ import annotations

import functools
import inspect
from typing import Any

_POSITIONAL = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}


def bind_self(cls: Any) -> None:
    """Bind the function that ``@app.task`` made this task class of, if it asks for it.

    Does nothing for classes that were made otherwise, and nothing when called again.
    """
    run = vars(cls).get("run")
    if not vars(cls).get("_decorated") or not isinstance(run, staticmethod):
        return
    function: Any = run.__func__
    if not _wants_self(function):
        return
    cls.run = function
    cls.__wrapped__ = function
    # What checks the arguments of a call, and what dumps the pydantic models among them.
    cls.__header__ = vars(cls)["app"].type_checker(function, bound=True)
    # Since 5.7; before that the wrapped function does it itself (celery/app/base.py, 5.5).
    if getattr(cls, "_dump_pydantic_arguments", None) is not None:
        dump = functools.partial(function.dump_arguments, bound=True)
        cls._dump_pydantic_arguments = staticmethod(dump)


def _wants_self(function: Any) -> bool:
    try:
        first = next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):
        return False
    return first is not None and first.name == "self" and first.kind in _POSITIONAL
