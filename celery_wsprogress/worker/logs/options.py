"""What is streamed of a task's log records and printed lines: its attributes, then the settings."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celery_wsprogress.protocol import jsonable
from celery_wsprogress.setting_parsers import LEVEL_CHOICES, log_level

if TYPE_CHECKING:
    from celery_wsprogress.settings import WorkerSettings

logger = logging.getLogger(__name__)

NO_RECORDS: Final = 10**9
"""The level where no records are streamed: no record is that severe."""


class LogOptions(NamedTuple):
    """What is streamed of the lines of a task."""

    level: int
    """The lowest level of the records, as a number of :mod:`logging`."""
    captures_stdout: bool
    lines_per_second: float


def find_log_options(task: Any, settings: WorkerSettings) -> LogOptions | None:
    """Return the options of a task; None if nothing is streamed.

    The task's own ``stream_logs`` and ``capture_stdout`` win; ``False`` switches off what a setting
    switches on. An invalid ``stream_logs`` streams no records, with a warning.
    """
    level = _level_of(task, settings)
    own = getattr(task, "capture_stdout", None)
    captures_stdout = settings.capture_stdout if own is None else bool(own)
    if level is None and not captures_stdout:
        return None
    least = NO_RECORDS if level is None else level
    return LogOptions(least, captures_stdout, settings.stream_logs_rate)


def _level_of(task: Any, settings: WorkerSettings) -> int | None:
    own = getattr(task, "stream_logs", None)
    if own is None:
        return settings.stream_logs
    if own is False:
        return None
    try:
        return log_level(own)
    except (ValueError, TypeError):
        shown = jsonable.to_text(own, 100)
        _warn_once(
            f"stream_logs of the task {task.name} is {shown!r}, but must be {LEVEL_CHOICES}; "
            "no records of it are streamed"
        )
        return None


@functools.cache
def _warn_once(sentence: str) -> None:
    logger.warning("%s", sentence)
