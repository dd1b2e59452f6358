"""The evicted records that sessions have not read yet, bounded in bytes.

An evicted record lives on as long as a session has unread entries of it. A client that hardly reads
would so hold everything that was ever evicted. Pure.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")

MIN_BYTES: Final = 1_000_000
"""Minimum bytes of evicted records that sessions may still read."""


class EvictedRecords(Generic[R]):
    """The records that were evicted last, as far as anything holds them."""

    def __init__(self) -> None:
        self.on_forgotten: Callable[[R], None] | None = None
        """Called with a record that is still held, when its memory is needed."""
        self._records: deque[tuple[ref[R], int]] = deque()
        self._size = 0

    def add(self, record: R, size: int, max_bytes: int) -> None:
        """Add a record of so many bytes; beyond ``max_bytes`` the oldest ones are forgotten."""
        self._records.append((ref(record), size))
        self._size += size
        while self._size > max(MIN_BYTES, max_bytes):
            forgotten, size = self._records.popleft()
            self._size -= size
            found = forgotten()
            if found is not None and self.on_forgotten is not None:
                self.on_forgotten(found)
