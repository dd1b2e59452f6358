"""All publishers of a process: locked while it forks, and drained when it ends."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from celery_wsprogress import brokers, fork
from celery_wsprogress.urls import masked
from celery_wsprogress.worker.publishing.child_exit import Children
from celery_wsprogress.worker.publishing.publisher import Publisher

if TYPE_CHECKING:
    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.settings import WorkerSettings

_publishers: WeakSet[Publisher] = WeakSet()
_held: list[Publisher] = []
_forking = threading.Lock()
"""One fork at a time; taken before any publisher's lock."""

STALL_TIMEOUT: Final = 1.8
"""Seconds that the end of a process waits for a broker that takes nothing: about ten replies of one
that is 150 ms away, which is what opening a connection takes."""


def open_publisher(address: BrokerAddress, settings: WorkerSettings) -> Publisher:
    """Make a publisher for this process and its children. It connects with its first event.

    Args:
        address: The broker.
        settings: Intervals and the size of the queue.
    """
    publisher = Publisher(
        lambda: brokers.open_writer(address),
        masked(address.url),
        settings,
        address.secrets,
        trusted=settings.url is None,
    )
    return add(publisher)


def add(publisher: Publisher) -> Publisher:
    """Register a publisher, for as long as it lives, and return it."""
    _publishers.add(publisher)
    return publisher


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
