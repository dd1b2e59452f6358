"""The index of the records by their serials, so that a page of operations can begin anywhere.

Pure.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final, Generic, Protocol, TypeVar

MAX_EMPTY_PLACES: Final = 1_000
"""Number of removed records above which the index may be made anew."""


class Numbered(Protocol):
    """What has a serial."""

    serial: int


R = TypeVar("R", bound=Numbered)


class SerialIndex(Generic[R]):
    """The records in the order of their serials, so that a page can begin anywhere."""

    __slots__ = ("_held", "_records", "_serials")

    def __init__(self) -> None:
        self._serials: list[int] = []
        self._records: list[R | None] = []
        """The record of each serial; None once it was evicted."""
        self._held = 0

    def append(self, record: R) -> None:
        """Add a record, whose serial is the largest."""
        self._serials.append(record.serial)
        self._records.append(record)
        self._held += 1

    def remove(self, record: R) -> None:
        """Remove a record that was evicted."""
        self._records[bisect_left(self._serials, record.serial)] = None
        self._held -= 1
        # Above half of the places are in use then, so a page seldom looks at more than twice its
        # length.
        if len(self._records) > 2 * self._held + MAX_EMPTY_PLACES:
            self._records = [one for one in self._records if one is not None]
            self._serials = [one.serial for one in self._records if one is not None]

    def before(self, serial: int | None, limit: int) -> list[R]:
        """Return the records below a serial, newest first, at most ``limit``."""
        found: list[R] = []
        place = len(self._serials) if serial is None else bisect_left(self._serials, serial)
        while place and len(found) < limit:
            place -= 1
            record = self._records[place]
            if record is not None:
                found.append(record)
        return found
