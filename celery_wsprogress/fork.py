"""The registry of state that must be reset in the child of a fork: locks, threads, random numbers.

The only module that calls :func:`os.register_at_fork`. Python calls those hooks if Python forks
(``os.fork``, multiprocessing, gunicorn), but not if C code forks, as uWSGI's master does by
default. So a module with such state registers a reset here, and calls :func:`notice` before it uses
the state.

A fork waits until no thread writes a log record. The lock of a stream is not reset in the child
(CPython 3.11, Modules/_io/bufferedio.c), so the child would hang at its first record.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOG_TIMEOUT: Final = 0.25
"""Maximum seconds for which a fork waits for log handlers: one may hang."""


class ForkAware(NamedTuple):
    """The functions for one state that a fork copies."""

    reset: Callable[[], object]
    """Called in the child, before it does anything else."""
    acquire: Callable[[], object] | None = None
    """Called before the fork. The state must not change until ``release`` or ``reset``."""
    release: Callable[[], object] | None = None
    """Called after the fork, in the parent."""


_registered: list[ForkAware] = []
_process = os.getpid()
"""Id of the process in which the state was last reset."""
_resetting: dict[int, Any] = {}
"""Locks by process id: a child that C code forked may inherit one that is held."""


def register(
    reset: Callable[[], object],
    acquire: Callable[[], object] | None = None,
    release: Callable[[], object] | None = None,
) -> None:
    """Register a state; see :class:`ForkAware`. States are reset in the order of registration."""
    _registered.append(ForkAware(reset, acquire, release))


def notice() -> None:
    """Reset all states if this process is a child in which that was not done yet."""
    if os.getpid() != _process:
        _reset()


def _reset() -> None:
    global _process, _resetting
    process = os.getpid()
    with _resetting.setdefault(process, threading.RLock()):
        if _process != process:
            for state in _registered:
                state.reset()
            _process, _resetting = process, {}


_log_locks: list[Any] = []
"""The locks of the log's handlers, while this process forks."""


def _handlers() -> Iterator[logging.Handler]:
    """Iterate over the handlers that get the log records of this package."""
    logger: logging.Logger | None = logging.getLogger("celery_wsprogress")
    if logging.lastResort is not None:
        yield logging.lastResort
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


def _acquire_log() -> None:
    deadline = time.monotonic() + LOG_TIMEOUT
    for handler in _handlers():
        left = max(0.0, deadline - time.monotonic())
        if handler.lock is not None and handler.lock.acquire(timeout=left):
            _log_locks.append(handler.lock)


def _release_log() -> None:
    while _log_locks:
        # In the child `logging` has replaced its own locks (CPython 3.11, logging/__init__.py). A
        # handler may have a lock of its own, which this thread holds in the child, too.
        with suppress(RuntimeError):
            _log_locks.pop().release()


register(_release_log, _acquire_log, _release_log)


def _before_fork() -> None:
    notice()
    # The log comes last: a thread may log while it holds one of the other locks.
    for state in reversed(_registered):
        if state.acquire is not None:
            state.acquire()


def _after_in_parent() -> None:
    for state in _registered:
        if state.release is not None:
            state.release()


def _after_in_child() -> None:
    global _process  # noqa: PLW0603 - one a process
    # In a PID namespace of its own the child may have the id of its parent.
    _process = 0
    _reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
