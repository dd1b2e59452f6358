"""``sys.stdout`` in a process whose tasks' printed lines are streamed (``capture_stdout``).

Celery's worker replaces ``sys.stdout`` by an object that logs what is written, to
``celery.redirected`` (``worker_redirect_stdouts``; celery 5.7, celery/utils/log.py,
``LoggingProxy``). :class:`StdoutTee` stands before whatever is there: each piece goes on unchanged,
and is added to the lines of the run in whose context it was written.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.worker.logs import handler
from celery_wsprogress.worker.logs.current import find_forwarder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery_wsprogress.worker.logs.forwarder import LogForwarder

LOGGER_NAME: Final = "stdout"
"""The name of the logger of printed lines."""


class StdoutTee:
    """A text stream that passes everything on to another one, and printed lines to their run.

    Args:
        target: The other stream.
    """

    def __init__(self, target: Any) -> None:
        self.wsprogress_target = target

    def write(self, text: Any) -> Any:
        """Write to the other stream, and return what that returns."""
        forwarder = find_forwarder()
        if (
            forwarder is None
            or not forwarder.captures_stdout
            or forwarder.closed
            or handler.sends.get()
            or not isinstance(text, str)
        ):
            return self.wsprogress_target.write(text)
        # The other stream may log it, or lead to another tee.
        token = handler.sends.set(True)
        try:
            written = self.wsprogress_target.write(text)
        finally:
            handler.sends.reset(token)
        send_lines(forwarder, forwarder.printed_lines(text))
        return written

    def writelines(self, lines: Iterable[Any]) -> None:
        """Write each of them."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "wsprogress_target":
            # Of an object that is being copied, which has none yet.
            raise AttributeError(name)
        return getattr(self.wsprogress_target, name)


def install() -> None:
    """Put a tee before ``sys.stdout``, unless it is one."""
    if sys.stdout is not None and not isinstance(sys.stdout, StdoutTee):
        sys.stdout = StdoutTee(sys.stdout)


def send_lines(forwarder: LogForwarder, lines: Iterable[str]) -> None:
    """Send printed lines, without the blank ones."""
    for line in lines:
        if line.strip():
            record = logging.LogRecord(LOGGER_NAME, logging.INFO, "", 0, line, None, None)
            handler.log_handler().forward(forwarder, record)
