"""Errors of this package in the log, without the exception's text, which may quote arguments."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from celery_wsprogress.guard import class_name

if TYPE_CHECKING:
    import logging


def log_internal_error(
    logger: logging.Logger, level: int, sentence: str, exc: BaseException
) -> None:
    """Log a sentence, the class of the exception and, above DEBUG, its traceback."""
    trace = "".join(traceback.format_tb(exc.__traceback__)) if level > 10 else ""
    logger.log(level, "%s (%s)\n%s", sentence, class_name(exc), trace)
