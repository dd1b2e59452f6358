"""The lock of all bars of a process. One for all, since a fork must wait for it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from celery_wsprogress import fork

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

READ_TIMEOUT: Final = 0.1
"""Maximum seconds for which a reader, or a fork, waits for the lock."""

# A finalizer of the garbage collector may need it in the thread that holds it.
_lock = threading.RLock()
_held_for_fork = False


def bar_lock() -> AbstractContextManager[object]:
    """Return the lock, held for microseconds. Inside, nothing logs, reports or calls the user."""
    return _lock


@contextmanager
def lock_to_read() -> Iterator[None]:
    """Hold the lock, or after :data:`READ_TIMEOUT` go on without it.

    A publisher reads bars while it holds its own lock. The garbage collector and a signal may run
    code of the user in a thread that holds this one, and that code may report: then each of the two
    threads would wait for the other.
    """
    lock = _lock
    held = lock.acquire(timeout=READ_TIMEOUT)
    try:
        yield
    finally:
        if held:
            lock.release()


# Not the methods of the lock: a child has another one.


def _acquire() -> None:
    global _held_for_fork  # noqa: PLW0603 - of the thread that forks
    _held_for_fork = _lock.acquire(timeout=READ_TIMEOUT)


def _release() -> None:
    global _held_for_fork  # noqa: PLW0603 - of the thread that forks
    if _held_for_fork:
        _held_for_fork = False
        _lock.release()


def _reset() -> None:
    global _lock, _held_for_fork
    # The thread that holds it is not in the child.
    _lock, _held_for_fork = threading.RLock(), False


# The publishers take this lock inside theirs, so a fork must, too: what is registered first is
# acquired last, and :mod:`.publishers` imports this module.
fork.register(_reset, _acquire, _release)
