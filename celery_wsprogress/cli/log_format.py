"""The formats of the sidecar's log: lines for people, or one JSON object a line.

A message may contain what a broker or a client has sent, so control characters are escaped in both.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from celery_wsprogress.printable import escape_control, escape_control_lines

TEXT: Final = "%(asctime)s %(levelname)-7s %(message)s"
TEXT_OF_CHILD: Final = "%(asctime)s %(levelname)-7s [%(process)d] %(message)s"

_encode: Final = msgspec.json.Encoder(enc_hook=str).encode
_KNOWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""The attributes that every record has; others come from ``extra``."""


class CleanFormatter(logging.Formatter):
    """Lines for people, with control characters escaped."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base's name
        """Return the message as one line."""
        return escape_control(super().formatMessage(record))

    def format(self, record: logging.LogRecord) -> str:
        """Return the message and its traceback, which keeps its lines."""
        return escape_control_lines(super().format(record))


class JSONFormatter(logging.Formatter):
    """One JSON object a line, for programs that collect logs.

    ``time`` is UTC as in RFC 3339 with milliseconds, ``exception`` the traceback, if there is one;
    fields of ``extra`` are added under their names.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the object as text."""
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        line |= {name: value for name, value in vars(record).items() if name not in _KNOWN}
        return _encode(line).decode()


def formatter(name: str, *, is_child: bool) -> logging.Formatter:
    """Return the formatter of a name, ``text`` or ``json``.

    Args:
        name: The name.
        is_child: Whether the process is one of several that share a log.
    """
    if name == "json":
        return JSONFormatter()
    return CleanFormatter(TEXT_OF_CHILD if is_child else TEXT)
