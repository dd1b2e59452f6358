"""Hearing of what Celery does without a signal: its own functions, with one of ours behind each.

Celery's function does what it did, gets what it got, and what it returns or raises is what its
caller gets. However often ours is put behind it, by whichever copy of this package, it is called
once.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.worker.error_log import log_internal_error

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

_MARK: Final = "_celery_wsprogress"


def with_callback(function: Callable[..., Any], then: Callable[..., None]) -> Callable[..., Any]:
    """The function, followed by another one.

    Args:
        function: Celery's.
        then: Called with the same arguments once that has returned. What it raises is logged.
    """
    if hasattr(function, _MARK):
        return function

    @functools.wraps(function)
    def run(*arguments: Any, **named: Any) -> Any:
        returned = function(*arguments, **named)
        try:
            then(*arguments, **named)
        except Exception as exc:  # noqa: BLE001 - whatever goes wrong here
            log_internal_error(logger, logging.ERROR, f"Task events: {then.__name__} failed", exc)
        return returned

    setattr(run, _MARK, True)
    return run
