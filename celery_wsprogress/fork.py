"""What a fork copies and must not: renewed in the child, whoever forked it.

Python calls hooks in the child where Python forks (``os.fork``, multiprocessing, gunicorn). What
forks in C calls none, as uWSGI's master does by default: its children have the random numbers of
their master, its locks as other threads held them, and threads in name only. So whatever keeps such
a state registers here how it is renewed, and calls :func:`notice` before it is used.

A stream has a lock, too, which nobody renews: of a thread that writes a line of the log while
another one forks the child inherits it locked, and hangs at its own first line (CPython 3.11,
Modules/_io/bufferedio.c). So nobody may be in the middle of a line when Python forks: neither the
threads of this package, which log when a broker goes or comes back, nor anybody else's.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOG_TIMEOUT: Final = 0.25
"""Seconds that a fork waits for a line of the log. A handler may hang, and so must no fork."""

_renewals: list[Callable[[], object]] = []
_process = os.getpid()
"""The process whose state this is."""
_renewing: dict[int, Any] = {}
"""A lock by process, so that nobody inherits one that is held."""


def renew_in_child(renew: Callable[[], object]) -> None:
    """Have this called in every child, in the order of registration, before it does anything."""
    _renewals.append(renew)


def notice() -> None:
    """Renew everything if this process is a child in which nobody has done so yet."""
    if os.getpid() != _process:
        _renew()


def _renew() -> None:
    global _process, _renewing
    process = os.getpid()
    with _renewing.setdefault(process, threading.RLock()):
        if _process != process:
            for renew in _renewals:
                renew()
            _process, _renewing = process, {}


def _after_fork_in_child() -> None:
    global _process  # noqa: PLW0603 - one a process
    _let_log_go()
    # In a namespace of its own the child may have its parent's number.
    _process = 0
    _renew()


def _handlers() -> Iterator[logging.Handler]:
    """Where the lines of this package go."""
    logger: logging.Logger | None = logging.getLogger("celery_wsprogress")
    if logging.lastResort is not None:
        yield logging.lastResort
    while logger is not None:
        yield from logger.handlers
        logger = logger.parent if logger.propagate else None


_held: list[Any] = []
"""The locks of these, while this process forks."""


def _hold_log() -> None:
    until = time.monotonic() + LOG_TIMEOUT
    for handler in _handlers():
        if handler.lock is not None:
            left = max(0.0, until - time.monotonic())
            if handler.lock.acquire(timeout=left):
                _held.append(handler.lock)


def _let_log_go() -> None:
    while _held:
        # In a child `logging` has made its own locks anew (Python 3.11, logging/__init__.py); a
        # handler may have another one, which the thread that forked holds there, too.
        with suppress(RuntimeError):
            _held.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_hold_log,
        after_in_parent=_let_log_go,
        after_in_child=_after_fork_in_child,
    )
