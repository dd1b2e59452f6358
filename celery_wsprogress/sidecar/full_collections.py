"""The full collections of CPython's garbage collector, kept short.

A full collection looks at every container of the process, and nobody is served meanwhile: for 120
to 190 ms in a sidecar with 10,000 operations and 200 clients. Neither its modules nor its
operations need that, as the latter are in no reference cycles. So what has survived one is frozen
(:func:`gc.freeze`), and the next one looks at what is new.

A closed connection is garbage in cycles (websockets 17.4: 84 objects of 15 KB), and a frozen one is
never collected. After :data:`MAX_FROZEN` of them everything is thawed, and the next full collection
is a long one.

It is for a program of ours: a process of the user's is left as it is. Runs in: the event loop.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_FROZEN: Final = 1_000
"""How many closed connections may be frozen: 15 MB."""


class FullCollections:
    """Freezes what survives them, once it has begun."""

    def __init__(self) -> None:
        self.count = 0
        """Number of full collections since it has begun."""
        self.frozen = 0
        """Number of closed connections that are frozen."""
        self._is_thawed_at = 0

    def begin(self) -> None:
        """Freeze from now on, in this process, first what there is already."""
        gc.collect()
        gc.freeze()
        gc.callbacks.append(self._freeze)

    def end(self) -> None:
        """Freeze no longer, and have everything collected again."""
        gc.callbacks.remove(self._freeze)
        gc.unfreeze()

    def note_closed(self, count: int) -> None:
        """Take note of a connection that was closed.

        Args:
            count: :attr:`count` when it was opened.
        """
        self.frozen += self.count > max(count, self._is_thawed_at)
        if self.frozen > MAX_FROZEN:
            gc.unfreeze()
            self.frozen, self._is_thawed_at = 0, self.count

    def _freeze(self, phase: str, info: Mapping[str, Any]) -> None:
        if phase == "stop" and info["generation"] == 2:
            gc.freeze()
            self.count += 1
