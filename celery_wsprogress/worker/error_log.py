"""Faults of our own, in the log: where they happened, and nothing of what was handled.

The message of an exception may quote a task's arguments, so only its class is shown.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from celery_wsprogress.guard import class_name

if TYPE_CHECKING:
    import logging


def log_internal_error(
    logger: logging.Logger, level: int, sentence: str, exc: BaseException
) -> None:
    """Write a sentence, the class of the exception, and the lines of code that it passed."""
    trace = "".join(traceback.format_tb(exc.__traceback__)) if level > 10 else ""
    logger.log(level, "%s (%s)\n%s", sentence, class_name(exc), trace)
