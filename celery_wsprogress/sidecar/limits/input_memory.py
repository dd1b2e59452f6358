"""The memory that clients' unfinished messages may take together.

A message may have 1 MiB and come slowly, on each of very many connections. Pure.
"""

from __future__ import annotations

from typing import Final

MAX_UNFINISHED_INPUT: Final = 64_000_000
"""Bytes of unfinished messages of all clients; above that no large one is taken."""

SMALL_INPUT: Final = 16_384
"""Bytes of unfinished messages that every client may send."""


class InputMemory:
    """Counts the bytes that are held for clients."""

    __slots__ = ("total",)

    def __init__(self) -> None:
        self.total = 0

    def change(self, before: int, after: int) -> bool:
        """Count a change of what is held for a client. Return whether it may be held."""
        self.total += after - before
        return after <= SMALL_INPUT or self.total <= MAX_UNFINISHED_INPUT
