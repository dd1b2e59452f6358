"""All publishers of a process: locked while it forks, and drained when it ends."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from celery_wsprogress import fork
from celery_wsprogress.worker.publishing.child_exit import Children

if TYPE_CHECKING:
    from celery_wsprogress.worker.publishing.publisher import Publisher

logger = logging.getLogger(__name__)

_publishers: WeakSet[Publisher] = WeakSet()
_held: list[Publisher] = []
_forking = threading.Lock()
"""One fork at a time; taken before any publisher's lock."""

STALL_TIMEOUT: Final = 1.8
"""Seconds that the end of a process waits for a broker that takes nothing: about ten replies of one
that is 150 ms away, which is what opening a connection takes."""


def add(publisher: Publisher) -> None:
    """Register a publisher, as long as it lives."""
    _publishers.add(publisher)


def drain_all(timeout: float, untrusted_timeout: float = STALL_TIMEOUT) -> None:
    """Wait until all events of this process are written. A line in the log says what was not.

    Args:
        timeout: Seconds at the most. A broker that takes nothing meanwhile, and may never do, is
            waited for no longer than :data:`STALL_TIMEOUT`, however often this is called.
        untrusted_timeout: The same for a broker of which nobody knows yet whether it answers.
    """
    began = time.monotonic()
    for publisher in list(_publishers):
        left = max(0.0, began + timeout - time.monotonic())
        stall_timeout = STALL_TIMEOUT if publisher.trusted else untrusted_timeout
        if not publisher.drain(left, stall_timeout, since=began):
            publisher.report_undelivered()


children = Children(drain_all)


def is_uwsgi_master() -> bool:
    """Whether this is uWSGI while it imports the application of which it will fork its workers."""
    uwsgi = sys.modules.get("uwsgi")
    try:
        return (
            uwsgi is not None
            # A worker has a number from 1 on; so has a mule. A spooler has its master's id.
            and uwsgi.worker_id() == uwsgi.mule_id() == 0
            and uwsgi.masterpid() in {0, os.getpid()}
        )
    except AttributeError:
        # Somebody else's module of this name.
        return False


def warn_without_threads() -> None:
    """Warn where threads run only during a request: the last events of each request are late.

    uWSGI's worker keeps Python's lock while it waits, unless it was told that there are threads
    (uWSGI 2.0, plugins/python; ``uwsgi.has_threads`` is what it was told).
    """
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None and not getattr(uwsgi, "has_threads", True):
        logger.warning(
            "Task events leave late: uWSGI runs without threads, and so none while it waits for "
            "requests; set `enable-threads = true`"
        )


def _acquire() -> None:
    children.prepare()
    _forking.acquire()
    for publisher in list(_publishers):
        publisher.acquire_for_fork()
        _held.append(publisher)


def _release() -> None:
    while _held:
        _held.pop().release_after_fork()
    _forking.release()


def _reset() -> None:
    global _forking  # noqa: PLW0603 - whoever held it is not in this process
    _forking = threading.Lock()
    _held.clear()
    for publisher in list(_publishers):
        publisher.reset_after_fork()


fork.register(_reset, _acquire, _release)
