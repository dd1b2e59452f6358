"""The forwarder of the current run: which task a log record or a printed line is of.

A :class:`~contextvars.ContextVar` holds it, as :mod:`celery_wsprogress.worker.context` does with
the tracker. It is not found by the tracker: in an ``operation()`` inside a task the lines are still
the task's.
"""

from __future__ import annotations

import os
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from celery_wsprogress.worker.logs.greenlets import contexts_of_spawners

if TYPE_CHECKING:
    from celery_wsprogress.worker.logs.forwarder import LogForwarder

#: The forwarder of the current run; None outside of runs whose lines are streamed.
current_forwarder: Final[ContextVar[LogForwarder | None]] = ContextVar(
    "celery_wsprogress.log_forwarder", default=None
)

#: The open forwarders of this process, for its threads without a context. A run whose thread was
#: killed drops out with the context of that thread.
open_forwarders: Final[WeakKeyDictionary[LogForwarder, None]] = WeakKeyDictionary()

OWN_THREADS: Final = "celery-wsprogress"
"""How the names of this package's threads begin. The first run of a process starts some of them,
and client libraries log in them."""

_single_task_process = 0
"""Id of the process, if its pool runs one task at a time in it."""


def worker_process_init(**_: Any) -> None:
    """Note that this process runs one task at a time.

    The prefork and the solo pool send this signal, those of threads and greenlets do not (celery
    5.7, celery/concurrency).
    """
    global _single_task_process  # noqa: PLW0603 - one a process
    _single_task_process = os.getpid()


def find_forwarder() -> LogForwarder | None:
    """Return the forwarder of the context, or else of the run that this thread must belong to."""
    forwarder = current_forwarder.get()
    if forwarder is None and open_forwarders:
        return _of_plain_thread() if _single_task_process else _of_greenlet()
    return forwarder


def _of_greenlet() -> LogForwarder | None:
    """Return the forwarder of the greenlet that led to this one."""
    found = (one.get(current_forwarder) for one in contexts_of_spawners())
    return next((one for one in found if one is not None), None)


def _of_plain_thread() -> LogForwarder | None:
    """Return the forwarder of the process's only run, if the thread was started during it."""
    if _single_task_process != os.getpid():
        return None
    # In one step: a thread of an earlier run may be here while another run begins.
    found = [one for one in (ref() for ref in open_forwarders.keyrefs()) if one is not None]
    thread = threading.current_thread()
    if len(found) != 1 or thread in found[0].older_threads:
        return None
    return None if thread.name.startswith(OWN_THREADS) else found[0]
