"""The logging handler that turns records into ``log`` events of the task that made them.

There is one a process. :func:`install` puts it above the root logger, and on ``celery.task``, whose
records Celery's worker keeps from the root logger (celery 5.7, celery/app/log.py).
"""

from __future__ import annotations

import copy
import functools
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.brokers.result_backend import describe_failure
from celery_wsprogress.guard import must_propagate
from celery_wsprogress.protocol import jsonable
from celery_wsprogress.worker.logs import above_root
from celery_wsprogress.worker.logs.current import find_forwarder
from celery_wsprogress.worker.logs.error_texts import without_error_texts
from celery_wsprogress.worker.signals import messages

if TYPE_CHECKING:
    from celery_wsprogress.worker.logs.forwarder import LogForwarder

logger = logging.getLogger(__name__)

_MARK: Final = "_wsprogress_streamed"
"""Attribute of a record that was sent: a second logger of ours may pass it on, too."""

#: Attributes of a record that are no ``extra``; Celery's formatter adds the last two.
_OWN_ATTRIBUTES: Final = frozenset(
    {
        *vars(logging.makeLogRecord({})),
        "message",
        "asctime",
        "taskName",
        _MARK,
        "task_id",
        "task_name",
    }
)

#: Whether a record of this context is being sent. What is logged or printed by that is not sent.
sends: Final[ContextVar[bool]] = ContextVar("celery_wsprogress.sends_record", default=False)


class TaskLogHandler(logging.Handler):
    """Sends a record to the watchers of the task in whose run it was made; else does nothing.

    Filters of this handler get a copy of the record, so they may change it: other handlers see it
    as it was. The text that its formatter returns is the message; exceptions are left out of that.
    """

    def createLock(self) -> None:  # noqa: N802 - the base's name
        """Make no lock: this handler writes to nothing that threads share."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Send the record if a run streams it. Nothing of that is raised."""
        forwarder = find_forwarder()
        if forwarder is None or record.levelno < forwarder.level or forwarder.closed:
            return False
        if sends.get() or hasattr(record, _MARK) or _is_of_worker(record.name):
            return False
        setattr(record, _MARK, True)
        return self.forward(forwarder, record)

    def forward(self, forwarder: LogForwarder, record: logging.LogRecord) -> bool:
        """Send a record through the filters, the limit and the formatter; return whether it is."""
        token = sends.set(True)
        try:
            return self._send_filtered(forwarder, record)
        except Exception as exc:
            if must_propagate(exc):
                raise
            # Not the record as it was: a filter or formatter that hides secrets may have failed.
            _warn_once(jsonable.type_name(exc))
            return False
        finally:
            sends.reset(token)

    def _send_filtered(self, forwarder: LogForwarder, record: logging.LogRecord) -> bool:
        if self.filters:
            record = copy.copy(record)
        found: object = self.filter(record)
        if not found or not forwarder.admits():
            return False
        if isinstance(found, logging.LogRecord):
            # A filter may return another record (Python 3.12).
            record = found
        if not forwarder.tracker.streams_errors:
            record = without_error_texts(record)
        details = _details(forwarder, record)
        level = jsonable.to_level(record.levelno) or "info"
        forwarder.send(level, self._message(record), record.name, details, record.created)
        return True

    def _message(self, record: logging.LogRecord) -> str:
        if self.formatter is None:
            return _plain_message(record)
        if record.exc_info or record.exc_text or record.stack_info:
            record = copy.copy(record)
            record.exc_info = record.exc_text = record.stack_info = None
        return self.formatter.format(record)


def _is_of_worker(name: str) -> bool:
    """Return whether a logger is of the worker, or of this package, and not of the task's code."""
    if name.startswith("celery."):
        return not name.startswith("celery.task")
    return name in {"celery", "celery_wsprogress"} or name.startswith("celery_wsprogress.")


def _plain_message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as exc:
        if must_propagate(exc):
            raise
        # The arguments do not fit. Other handlers print an error about it.
        return jsonable.to_text(record.msg)


def _details(forwarder: LogForwarder, record: logging.LogRecord) -> dict[str, Any]:
    """Return the ``extra`` of a record, and what may be shown of its exception."""
    extra = {name: one for name, one in vars(record).items() if name not in _OWN_ATTRIBUTES}
    if not isinstance(record.exc_info, tuple) or record.exc_info[1] is None:
        return extra
    exception, full = record.exc_info[1], forwarder.tracker.streams_errors
    error, error_type = describe_failure(exception, full=full)
    shown: dict[str, Any] = {"error_type": error_type}
    if full:
        shown["error"] = error
        if forwarder.streams_tracebacks:
            shown["traceback"] = messages.traceback(exception.__traceback__)
    return {**shown, **extra}


@functools.cache
def _warn_once(kind: str) -> None:
    logger.warning(
        "A log record cannot be sent: a filter or the formatter of celery_wsprogress.log_handler() "
        "raises %s",
        kind,
    )


_handler: Final = TaskLogHandler()


def log_handler() -> TaskLogHandler:
    """Return the handler of this process that turns log records of tasks into their ``log`` events.

    .. code-block:: python

        celery_wsprogress.log_handler().addFilter(hide_tokens)

    A filter may change the record: it gets a copy. The text that a formatter returns is the
    message. Where either raises an exception, the line is not sent. Printed lines of
    ``capture_stdout`` go the same way, as records of the logger ``stdout``.

    The handler gets what comes to the root logger, and what comes to ``celery.task``, from the
    first run of a task with ``stream_logs`` on. Add it yourself to a logger of yours that does not
    propagate. Outside of such a run it does nothing.
    """
    return _handler


def install() -> None:
    """Put the handler above the root logger and on ``celery.task``, where it is not yet."""
    above_root.install(_handler)
    tasks = logging.getLogger("celery.task")
    if not tasks.propagate and _handler not in tasks.handlers:
        tasks.addHandler(_handler)
