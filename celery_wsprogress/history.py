"""What was delivered of one operation, shared by everyone who watches it.

A history is a list of encoded frames in log order. Nobody gets a copy: a session holds a
*cursor* into it, the ``seq`` of the last entry it has written, and goes on from there whenever
its socket takes more. So a slow client costs a number, not a queue.

Only progress is conflated. A progress is superseded by a later one of the same run and is
gone from then on; the last one before a pause or an end stays. What must go because the
history is full goes oldest first, and never the operation's last status, latest progress or
end. A cursor older than what went has missed something, and is told so.
"""

from __future__ import annotations

from bisect import bisect_right
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery_wsprogress.folding import Operation
    from celery_wsprogress.positions import Position

MAX_ENTRIES: Final = 1_000
MAX_BYTES: Final = 512_000
"""Of one operation. Enough for some thousand log lines of ordinary length in all."""

ENTRY_OVERHEAD: Final = 150
"""Bytes an entry takes besides its frame, measured on CPython 3.11."""


class Kind(IntEnum):
    """What a history must know of an event."""

    PROGRESS = 0
    STATUS = 1
    LINE = 2
    """A log line or another event that stands for itself."""
    END = 3


class Entry:
    """One delivered event."""

    __slots__ = ("frame", "kind", "position", "run", "seq")

    def __init__(self, seq: int, position: Position, kind: Kind, run: str, frame: bytes) -> None:
        self.seq = seq
        self.position = position
        self.kind = kind
        self.run = run
        self.frame = frame
        """The encoded frame; empty once the entry is superseded or dropped."""

    @property
    def size(self) -> int:
        """Bytes it takes."""
        return len(self.frame) + ENTRY_OVERHEAD


class History:
    """The delivered events of one operation, bounded in number and bytes.

    Args:
        operation: Whose, as it stands after the newest of them.
        gone: The position up to which something of it may have been held once and let go.
    """

    __slots__ = (
        "_entries",
        "_gone",
        "_latest",
        "dropped",
        "dropped_position",
        "newest",
        "operation",
        "position",
        "size",
        "start",
    )

    def __init__(self, operation: Operation, gone: Position | None = None) -> None:
        self.operation = operation
        self._entries: list[Entry] = []
        self._gone = 0
        self._latest: dict[Kind, Entry] = {}
        self.size = 0
        """Bytes of everything held."""
        self.start = 0
        """``seq`` of the first event of the current run."""
        self.dropped = 0
        """``seq`` of the newest entry that was dropped though a client may want it."""
        self.dropped_position = gone
        """The position up to which something may be missing; None when nothing is."""
        self.newest = 0
        """``seq`` of the newest entry."""
        self.position: Position | None = None
        """The position of the newest entry."""

    def __len__(self) -> int:
        return len(self._entries) - self._gone

    def append(self, entry: Entry) -> None:
        """Add the newest entry; an earlier progress of the same run is superseded by it."""
        before = self._latest.get(entry.kind)
        if entry.kind is Kind.PROGRESS and before is not None and before.run == entry.run:
            self._remove(before)
        self._latest[entry.kind] = entry
        self.newest, self.position = entry.seq, entry.position
        self._entries.append(entry)
        self.size += entry.size
        if len(self) > MAX_ENTRIES or self.size > MAX_BYTES:
            self._drop_oldest()
        if self._gone > 16 and self._gone > len(self):
            self._compact()

    def after(self, cursor: int) -> Iterator[Entry]:
        """The entries a reader at this cursor has not had, oldest first."""
        entries = self._entries
        first = bisect_right(entries, cursor, key=_seq)
        return (entry for entry in entries[first:] if entry.frame)

    def cursor_at(self, position: Position) -> int:
        """The cursor of a reader whose last event stood at this position of the log."""
        first = bisect_right(self._entries, position, key=_position)
        return self._entries[first - 1].seq if first else 0

    def standing(self, cursor: int) -> list[Entry]:
        """How things stand at a cursor: the last status, the latest progress and the end.

        For a reader who wants to know where the current run is, not how it came there.
        """
        latest = [entry for kind, entry in self._latest.items() if kind is not Kind.LINE]
        entries = [one for one in latest if one.frame and self.start <= one.seq <= cursor]
        return sorted(entries, key=_seq)

    def _remove(self, entry: Entry) -> None:
        self.size -= entry.size
        entry.frame = b""
        self._gone += 1

    def _drop_oldest(self) -> None:
        """Make room, a tenth more than needed, so that a full history is not walked each time."""
        # A line goes in its turn: one that outlived its neighbours would go unnoticed later.
        standing = (one for kind, one in self._latest.items() if kind is not Kind.LINE)
        keep = set(map(id, (*standing, self._entries[-1])))
        for entry in self._entries:
            if len(self) <= MAX_ENTRIES * 0.9 and self.size <= MAX_BYTES * 0.9:
                break
            if entry.frame and id(entry) not in keep:
                self._drop(entry)
        self._compact()

    def _drop(self, entry: Entry) -> None:
        self._remove(entry)
        # One that was kept longer than its neighbours is older than what went before it.
        if entry.seq > self.dropped:
            self.dropped, self.dropped_position = entry.seq, entry.position

    def _compact(self) -> None:
        self._entries = [entry for entry in self._entries if entry.frame]
        self._gone = 0


def _seq(entry: Entry) -> int:
    return entry.seq


def _position(entry: Entry) -> Position:
    return entry.position
