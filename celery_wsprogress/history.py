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

from bisect import bisect_right, insort
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, Self

from msgspec import Struct

from celery_wsprogress.positions import Position, event_id_in, position_in

if TYPE_CHECKING:
    from celery_wsprogress.events import ProgressData
    from celery_wsprogress.folding import Operation

MAX_ENTRIES: Final = 1_000
MAX_BYTES: Final = 512_000
"""Of one operation, but for its latest progress. Enough for some thousand log lines of ordinary
length."""

ENTRY_OVERHEAD: Final = 150
"""Bytes an entry takes besides its frame, measured on CPython 3.11."""


class Kind(IntEnum):
    """What a history must know of an event."""

    PROGRESS = 0
    STATUS = 1
    LINE = 2
    """A log line or another event that stands for itself."""
    END = 3


class Entry(Struct, array_like=True, eq=False, gc=False):
    """One delivered event."""

    seq: int
    """Counted over everything that is delivered of the operation."""
    epoch_number: int
    """Of the log's epoch it is from."""
    kind: Kind
    run: str
    frame: bytes
    """As it goes to the clients; see :func:`~celery_wsprogress.framing.framed`."""

    @property
    def position(self) -> Position:
        """Where it stands in the log. Seldom asked for, so it is read from the frame."""
        return position_in(self.frame, self.epoch_number)

    @property
    def size(self) -> int:
        """Bytes it takes."""
        return len(self.frame) + ENTRY_OVERHEAD


class Kept(Struct, array_like=True, gc=False):
    """All that a history must not forget; the fields are those of :class:`History`."""

    before: int
    start: int
    dropped: int
    dropped_position: Position | None
    newest: int
    entries: list[Entry]
    progress: Entry | None


class History:
    """The delivered events of one operation, bounded in number and bytes.

    Args:
        operation: Whose.
        gone: The position up to which something of it may have been held once and let go.
        before: What the ``seq`` of its entries begins behind: no less than that of any entry of
            an earlier history of the operation, so that a reader goes on from that one to this.
    """

    __slots__ = (
        "__weakref__",
        "_entries",
        "_last_end",
        "_last_status",
        "_listed",
        "_measured",
        "_operation",
        "_progress",
        "_shared",
        "_shared_after",
        "before",
        "dropped",
        "dropped_position",
        "newest",
        "start",
    )

    def __init__(self, operation: Operation, gone: Position | None = None, before: int = 0) -> None:
        self._operation = operation
        self._measured: ProgressData | bytes | None = None
        self.before = before
        self._entries: list[Entry] = []
        """Everything but the latest progress."""
        self._progress: Entry | None = None
        """The latest progress: a slot, since the next one of its run takes its place."""
        self._last_status: Entry | None = None
        self._last_end: Entry | None = None
        self._shared_after = 0
        self._shared = b""
        """What a reader at the cursor :attr:`_shared_after` has not had; empty where nobody has
        asked since the newest entry came."""
        self._listed = 0
        """Bytes of everything but the latest progress."""
        self.start = 0
        """``seq`` of the first event of the current run."""
        self.dropped = 0
        """``seq`` of the newest entry that was dropped though a client may want it."""
        self.dropped_position = gone
        """The position up to which something may be missing; None when nothing is."""
        self.newest = before
        """``seq`` of the newest entry."""

    @classmethod
    def of(cls, operation: Operation, kept: Kept) -> Self:
        """The history of which :attr:`kept` was that."""
        history = cls(operation, kept.dropped_position, kept.before)
        history._entries, history._progress = kept.entries, kept.progress
        for entry in kept.entries:
            history._note(entry)
        history._listed = sum(entry.size for entry in kept.entries)
        history.start, history.dropped, history.newest = kept.start, kept.dropped, kept.newest
        return history

    @property
    def kept(self) -> Kept:
        """What :meth:`of` makes another one from that is like this one."""
        return Kept(
            self.before,
            self.start,
            self.dropped,
            self.dropped_position,
            self.newest,
            self._entries,
            self._progress,
        )

    @property
    def operation(self) -> Operation:
        """Whose it is, as it stands after the newest of them."""
        measured = self._measured
        if measured is not None:
            self._measured = None
            self._operation.advance(measured)
        return self._operation

    def advance(self, progress: ProgressData | bytes) -> None:
        """Have the operation take a progress of its current run, when it is next asked for.

        Nearly always another one comes first, and its memory is not touched for this one.

        Args:
            progress: As for :meth:`.Operation.advance`.
        """
        self._measured = progress

    @property
    def count(self) -> int:
        """How many entries are held."""
        return len(self._entries) + (self._progress is not None)

    @property
    def size(self) -> int:
        """Bytes of everything held."""
        return self._listed + (0 if self._progress is None else self._progress.size)

    @property
    def position(self) -> Position | None:
        """The position of the newest entry."""
        newest = self._newest()
        return None if newest is None else newest.position

    def append(self, entry: Entry) -> int:
        """Add the newest entry; an earlier progress of the same run is superseded by it.

        Returns:
            How many bytes more it takes now.
        """
        self.newest = entry.seq
        self._shared = b""
        if entry.kind is Kind.PROGRESS:
            return self._take_slot(entry)
        self._entries.append(entry)
        self._note(entry)
        return self._grow(entry.size)

    def _note(self, entry: Entry) -> None:
        if entry.kind is Kind.STATUS:
            self._last_status = entry
        elif entry.kind is Kind.END:
            self._last_end = entry

    def _take_slot(self, entry: Entry) -> int:
        """Put the latest progress in its place; how many bytes more that takes."""
        before, self._progress = self._progress, entry
        if before is None:
            return entry.size
        if before.run == entry.run:
            # Nearly always. Nothing else is looked at, and no number kept that the next one would
            # replace: among many operations each is a place in memory of its own.
            return len(entry.frame) - len(before.frame)
        insort(self._entries, before, key=_seq)
        return entry.size - before.size + self._grow(before.size)

    def _grow(self, size: int) -> int:
        """Count bytes that were listed, and make room; how many more are listed than before."""
        before = self._listed
        self._listed += size
        if self._listed > MAX_BYTES or len(self._entries) >= MAX_ENTRIES:
            self._drop_oldest()
        return self._listed - before

    def snapshot(self) -> dict[str, Any]:
        """The operation as the protocol shows it, with what its events are called."""
        newest = self._newest()
        return {
            **self.operation.snapshot(),
            "event_count": self.newest - self.before,
            "last_event_id": "" if newest is None else event_id_in(newest.frame),
        }

    def after(self, cursor: int) -> list[Entry]:
        """The entries a reader at this cursor has not had, oldest first."""
        entries = self._entries[bisect_right(self._entries, cursor, key=_seq) :]
        progress = self._progress
        if progress is not None and progress.seq > cursor:
            insort(entries, progress, key=_seq)
        return entries

    def bytes_after(self, cursor: int) -> bytes:
        """The frames of those entries, one behind the other; made once for all readers there."""
        newest = self._newest()
        if newest is not None and cursor == newest.seq - 1:
            return newest.frame
        if not self._shared or self._shared_after != cursor:
            self._shared = b"".join([entry.frame for entry in self.after(cursor)])
            self._shared_after = cursor
        return self._shared

    def all_after(self, cursor: int, limit: int) -> bytes:
        """The same, where that is all there was and no more than ``limit``; else empty."""
        if self.dropped > cursor:
            return b""
        frames = self.bytes_after(cursor)
        return frames if len(frames) <= limit else b""

    @property
    def progress_seq(self) -> int:
        """``seq`` of the latest progress; 0 where there is none."""
        return 0 if self._progress is None else self._progress.seq

    def only_progress_after(self, cursor: int) -> bool:
        """Whether a reader at this cursor has had everything but the latest progress."""
        return not self._entries or self._entries[-1].seq <= cursor

    def cursor_at(self, position: Position) -> int:
        """The cursor of a reader whose last event stood at this position of the log."""
        first = bisect_right(self._entries, position, key=_position)
        cursor = self._entries[first - 1].seq if first else 0
        progress = self._progress
        if progress is not None and progress.position <= position:
            return max(cursor, progress.seq)
        return cursor

    def standing(self, cursor: int) -> list[Entry]:
        """How things stand at a cursor: the last status, the latest progress and the end.

        For a reader who wants to know where the current run is, not how it came there.
        """
        latest = (self._last_status, self._progress, self._last_end)
        found = [one for one in latest if one is not None and self.start <= one.seq <= cursor]
        return sorted(found, key=_seq)

    def _newest(self) -> Entry | None:
        # The list is looked at last: it lies elsewhere in memory.
        progress = self._progress
        if progress is not None and progress.seq == self.newest:
            return progress
        return self._entries[-1] if self._entries else None

    def _drop_oldest(self) -> None:
        """Make room, a tenth more than needed, so that a full history is not walked each time."""
        # A line goes in its turn: one that outlived its neighbours would go unnoticed later.
        keep = {id(self._last_status), id(self._last_end), *map(id, self._entries[-1:])}
        excess = self.count - MAX_ENTRIES * 0.9
        kept: list[Entry] = []
        for entry in self._entries:
            if (excess <= 0 and self._listed <= MAX_BYTES * 0.9) or id(entry) in keep:
                kept.append(entry)
            else:
                excess -= 1
                self._drop(entry)
        self._entries = kept

    def _drop(self, entry: Entry) -> None:
        self._listed -= entry.size
        # One that was kept longer than its neighbours is older than what went before it.
        if entry.seq > self.dropped:
            self.dropped, self.dropped_position = entry.seq, entry.position


def _seq(entry: Entry) -> int:
    return entry.seq


def _position(entry: Entry) -> Position:
    return entry.position
