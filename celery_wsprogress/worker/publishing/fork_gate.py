"""Keep forks out of work during which a library holds locks of its own.

A child that is forked meanwhile inherits such a lock locked, and nobody in it ever releases it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class ForkGate:
    """A context manager for such work. It waits while the process forks."""

    def __init__(self) -> None:
        # Re-entrant: a signal handler may fork while its thread is in here.
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
        """Let nobody in, and wait until nobody is inside.

        Args:
            timeout: Seconds to wait at the most: what is done inside may hang.
        """
        with self._changed:
            self._closed += 1
            self._changed.wait_for(lambda: not self._inside, timeout)

    def open(self) -> None:
        """Undo :meth:`close`, in the parent. The child makes a gate of its own."""
        with self._changed:
            self._closed -= 1
            self._changed.notify_all()
