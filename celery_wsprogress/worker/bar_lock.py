"""The lock of all bars of a process. One for all, since a fork must wait for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from celery_wsprogress import fork

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

# A finalizer of the garbage collector may need it in the thread that holds it.
_lock = threading.RLock()


def bar_lock() -> AbstractContextManager[object]:
    """Return the lock, held for microseconds. Inside, nothing logs, reports or calls the user."""
    return _lock


def _reset() -> None:
    global _lock  # noqa: PLW0603 - the thread that holds it is not in the child
    _lock = threading.RLock()


# The publishers take this lock inside theirs, so a fork must, too: what is registered first is
# acquired last, and :mod:`.publishers` imports this module.
fork.register(_reset, _lock.acquire, _lock.release)
