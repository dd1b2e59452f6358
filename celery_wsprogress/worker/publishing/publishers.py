"""All publishers of a process: locked while it forks, drained when it ends."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary, WeakSet

from celery_wsprogress import brokers, fork
from celery_wsprogress.urls import masked
from celery_wsprogress.worker import bar_lock  # noqa: F401 - registered first, see there
from celery_wsprogress.worker.publishing.child_exit import Children
from celery_wsprogress.worker.publishing.publisher import Publisher

if TYPE_CHECKING:
    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.settings import WorkerSettings

_publishers: WeakSet[Publisher] = WeakSet()
_origins: WeakKeyDictionary[Publisher, tuple[BrokerAddress, WorkerSettings]] = WeakKeyDictionary()
_held: list[Publisher] = []
_forking = threading.Lock()
"""One fork at a time; taken before any publisher's lock."""

STALL_TIMEOUT: Final = 1.8
"""Seconds that the end of a process waits for a broker that accepts nothing: opening a connection
takes about ten round trips, of 150 ms to a remote one."""


def open_publisher(address: BrokerAddress, settings: WorkerSettings) -> Publisher:
    """Return a publisher for this process and its children. It connects with its first event.

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
    _origins[publisher] = address, settings
    return add(publisher)


def origin_of(publisher: Publisher) -> tuple[BrokerAddress, WorkerSettings] | None:
    """Return what a publisher was opened with; None if it was not opened here."""
    return _origins.get(publisher)


def add(publisher: Publisher) -> Publisher:
    """Register a publisher, for as long as it lives, and return it."""
    _publishers.add(publisher)
    return publisher


def drain_all(timeout: float, untrusted_timeout: float = STALL_TIMEOUT) -> None:
    """Wait until all events of this process are written, and log the number of those that are not.

    Args:
        timeout: Seconds to wait, and :data:`STALL_TIMEOUT` for a broker that accepts nothing,
            however often this is called.
        untrusted_timeout: Seconds for a broker that accepts nothing and has never answered.
    """
    began = time.monotonic()
    for publisher in list(_publishers):
        left = max(0.0, began + timeout - time.monotonic())
        stall_timeout = STALL_TIMEOUT if publisher.trusted else untrusted_timeout
        if not publisher.drain(left, stall_timeout, since=began):
            publisher.report_undelivered()


def close_all(timeout: float) -> None:
    """Write all events, and end the threads: for the end of tests. Later events are lost.

    Args:
        timeout: Seconds to wait, as in :func:`drain_all`, and as long again for the threads.
    """
    drain_all(timeout)
    deadline = time.monotonic() + timeout
    for publisher in list(_publishers):
        publisher.close(max(0.0, deadline - time.monotonic()))


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
    global _forking  # noqa: PLW0603 - the thread that holds it is not in the child
    _forking = threading.Lock()
    _held.clear()
    for publisher in list(_publishers):
        publisher.reset_after_fork()


fork.register(_reset, _acquire, _release)
