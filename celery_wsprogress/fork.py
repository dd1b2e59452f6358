"""What a fork copies and must not: each such state is reset in the child, whoever forked it.

The one place where this package registers hooks of :func:`os.register_at_fork`. Python calls them
where Python forks (``os.fork``, multiprocessing, gunicorn). A process that forks in C calls none,
as uWSGI's master does by default: its children have the random numbers of their master, its locks
as other threads held them, and threads in name only. So whatever keeps such a state registers here
how it is reset, and calls :func:`notice` before the state is used.

Nobody may be in the middle of a line of the log when Python forks. A stream has a lock that is not
reset: the child would inherit it locked, and hang at its own first line (CPython 3.11,
Modules/_io/bufferedio.c). So a fork waits for lines, of our threads and of all others.
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
"""Seconds that a fork waits for lines of the log: a handler may hang."""


class ForkAware(NamedTuple):
    """A state that a fork must not copy half changed, nor leave in the child."""

    reset: Callable[[], object]
    """Called in the child, before it does anything else."""
    acquire: Callable[[], object] | None = None
    """Called before the fork: nobody changes the state from then on."""
    release: Callable[[], object] | None = None
    """Undoes that, in the parent."""


_registered: list[ForkAware] = []
_process = os.getpid()
"""The process whose state this is."""
_resetting: dict[int, Any] = {}
"""A lock by process, so that nobody inherits one that is held."""


def register(
    reset: Callable[[], object],
    acquire: Callable[[], object] | None = None,
    release: Callable[[], object] | None = None,
) -> None:
    """Register a state; see :class:`ForkAware`. States are reset in the order of registration."""
    _registered.append(ForkAware(reset, acquire, release))


def notice() -> None:
    """Reset everything if this process is a child in which that was not done yet."""
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
    """The handlers of what this package logs."""
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
        # In a child `logging` has made its own locks anew (Python 3.11, logging/__init__.py); a
        # handler may have another one, which the thread that forked holds there, too.
        with suppress(RuntimeError):
            _log_locks.pop().release()


register(_release_log, _acquire_log, _release_log)


def _before_fork() -> None:
    notice()
    # The log comes last: whoever holds another lock of ours may be about to log something.
    for state in reversed(_registered):
        if state.acquire is not None:
            state.acquire()


def _after_in_parent() -> None:
    for state in _registered:
        if state.release is not None:
            state.release()


def _after_in_child() -> None:
    global _process  # noqa: PLW0603 - one a process
    # In a namespace of its own the child may have its parent's number.
    _process = 0
    _reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
