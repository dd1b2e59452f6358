"""Callbacks after functions of Celery that send no signal.

Arguments, return value and exceptions of Celery's function stay the same. A second callback for
the same function, also of another copy of this package, is not added.
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


def with_callback(
    function: Callable[..., Any],
    then: Callable[..., None],
    *,
    first: Callable[..., None] | None = None,
    after_errors: bool = False,
) -> Callable[..., Any]:
    """Return the function with a callback after it.

    Args:
        function: Celery's.
        then: Called with the same arguments once that has returned. What it raises is logged.
        first: Called with the same arguments before, as ``then``.
        after_errors: Whether ``then`` is also called when that has raised an exception.
    """
    if hasattr(function, _MARK):
        return function

    @functools.wraps(function)
    def run(*arguments: Any, **named: Any) -> Any:
        if first is not None:
            _call_logged(first, arguments, named)
        try:
            returned = function(*arguments, **named)
        except Exception:
            if after_errors:
                _call_logged(then, arguments, named)
            raise
        _call_logged(then, arguments, named)
        return returned

    setattr(run, _MARK, True)
    return run


def _call_logged(callback: Callable[..., None], arguments: Any, named: Any) -> None:
    try:
        callback(*arguments, **named)
    except Exception as exc:  # noqa: BLE001 - whatever goes wrong here
        log_internal_error(logger, logging.ERROR, f"Task events: {callback.__name__} failed", exc)
