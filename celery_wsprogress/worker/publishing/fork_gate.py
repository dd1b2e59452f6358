"""A gate that keeps forks out of work during which a library holds a lock.

A child of a fork during it would inherit the lock held, and no thread of the child releases it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class ForkGate:
    """A context manager for such work. Entering it waits while the process forks."""

    def __init__(self) -> None:
        # Re-entrant: a signal handler may fork while its thread holds the lock.
        self._changed = threading.Condition(threading.RLock())
        self._inside = 0
        self._closed = 0

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._closed)
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Let no thread in, and wait until none is inside, for ``timeout`` seconds at most."""
        with self._changed:
            self._closed += 1
            self._changed.wait_for(lambda: not self._inside, timeout)

    def open(self) -> None:
        """Undo :meth:`close`, in the parent. The child has a new gate."""
        with self._changed:
            self._closed -= 1
            self._changed.notify_all()
