"""All publishers of a process: held while it forks, and waited for when it ends."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from celery_wsprogress import fork
from celery_wsprogress.worker.children import Children

if TYPE_CHECKING:
    from celery_wsprogress.worker.publisher import Publisher

logger = logging.getLogger(__name__)

_publishers: WeakSet[Publisher] = WeakSet()
_held: list[Publisher] = []
_forking = threading.Lock()
"""One fork at a time; taken before any publisher's lock."""

PATIENCE: Final = 1.8
"""Seconds that the end of a process waits for a broker that takes nothing: some ten replies of one
that is 150 ms away, which is what opening a connection takes."""


def add(publisher: Publisher) -> None:
    """Know a publisher, as long as there is one."""
    _publishers.add(publisher)


def drain_all(seconds: float, strange: float = PATIENCE) -> None:
    """Wait until all that this process has to say is written. A line says what was not.

    Args:
        seconds: How long at the most. For a broker that takes nothing meanwhile, and may never
            do, not longer than :data:`PATIENCE`, however often this is called.
        strange: The same of a broker of which nobody knows yet whether it answers.
    """
    began = time.monotonic()
    for publisher in list(_publishers):
        left = max(0.0, began + seconds - time.monotonic())
        patience = PATIENCE if publisher.trusts else strange
        if not publisher.drain(left, patience, since=began):
            publisher.admit_loss()


children = Children(drain_all)


def is_to_fork_in_c() -> bool:
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


def warn_of_sleep() -> None:
    """Say so where threads only run while a request is answered: the last words of each are late.

    uWSGI's worker keeps Python's lock while it waits, unless it was told that there are threads
    (uWSGI 2.0, plugins/python; ``uwsgi.has_threads`` is what it was told).
    """
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None and not getattr(uwsgi, "has_threads", True):
        logger.warning(
            "Task events leave late: uWSGI runs without threads, and so none while it waits for "
            "requests; set `enable-threads = true`"
        )


def _before_fork() -> None:
    fork.notice()
    children.prepare()
    _forking.acquire()
    for publisher in list(_publishers):
        publisher.hold()
        _held.append(publisher)


def _after_fork_in_parent() -> None:
    while _held:
        _held.pop().let_go()
    _forking.release()


def _renew() -> None:
    global _forking  # noqa: PLW0603 - whoever held it is not in this process
    _forking = threading.Lock()
    _held.clear()
    for publisher in list(_publishers):
        publisher.be_born()


fork.renew_in_child(_renew)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent)
