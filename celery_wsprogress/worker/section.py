"""Work of a thread that no fork should fall into: libraries hold locks of their own meanwhile.

A child that is forked then inherits such a lock locked, and nobody there will ever release it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class Section:
    """A context manager for that work, which waits while somebody forks."""

    def __init__(self) -> None:
        # Re-entrant: a signal handler may fork while its thread is in here.
        self._changed = threading.Condition(threading.RLock())
        self._inside = 0
        self._held = 0

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._held)
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

    def hold(self, seconds: float) -> None:
        """Let nobody in, and wait so long at the most for who is inside."""
        with self._changed:
            self._held += 1
            self._changed.wait_for(lambda: not self._inside, seconds)

    def let_go(self) -> None:
        """Undo :meth:`hold`, in the parent. The child makes a new one."""
        with self._changed:
            self._held -= 1
            self._changed.notify_all()
