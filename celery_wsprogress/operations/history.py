"""The delivered events of one operation, as encoded frames in log order.

All sessions share the history. Each keeps a *cursor* only: the ``seq`` of the last entry that it
has written. So a slow client costs a number and not a queue.

A progress replaces the earlier one of its run; no other event is replaced. A full history drops
its oldest entries, but never the last status, the latest progress or the end. A cursor that is
older than a dropped entry has missed events. Chunks have a bound of their own, in bytes: a stream
is worth little without its beginning, and log lines do not push it out, nor it them.

Pure.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from typing import TYPE_CHECKING, Final

from celery_wsprogress.operations.history_entry import Entry, Kind
from celery_wsprogress.protocol.event_ids import event_id_of_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.protocol.event_ids import LogPosition

MAX_ENTRIES: Final = 1_000
"""Maximum number of entries of one operation, besides its latest progress and chunks."""
MAX_BYTES: Final = 512_000
"""Bytes of these: about a thousand log lines."""
MAX_CHUNK_BYTES: Final = 3_000_000
"""Bytes of the chunks of one operation: some 7,000 short ones."""

MAX_JOINED_BYTES: Final = 16_384
"""Maximum size of joined frames that are kept for other sessions, until the next delivery."""

# Read for each event: on CPython 3.11 an attribute of an Enum costs ten times what a name costs.
_PROGRESS: Final = Kind.PROGRESS
_CHUNK: Final = Kind.CHUNK


class History:
    """The delivered events of one operation, bounded in number and bytes.

    Args:
        evicted_up_to: The log position up to which events of the operation may have been evicted;
            None if none were.
        first_seq: The ``seq`` that this history starts after. It is not below the last ``seq`` of
            an earlier history of the operation, so that cursors stay valid.
        max_entries: Maximum number of entries, besides the latest progress and chunks.
    """

    __slots__ = (
        "_bytes",
        "_chunk_bytes",
        "_entries",
        "_joined_after",
        "_last_end",
        "_last_status",
        "_max_entries",
        "_newest_entry",
        "_others",
        "_progress",
        "dropped_chunk_seq",
        "dropped_other_seq",
        "dropped_position",
        "dropped_seq",
        "first_seq",
        "joined",
        "newest",
        "run_start_seq",
    )

    def __init__(
        self,
        evicted_up_to: LogPosition | None = None,
        first_seq: int = 0,
        max_entries: int = MAX_ENTRIES,
    ) -> None:
        self._max_entries = max_entries
        self.first_seq = first_seq
        self.newest = first_seq
        """``seq`` of the newest entry."""
        self.run_start_seq = 0
        """``seq`` of the first event of the current run."""
        self.dropped_seq = 0
        """``seq`` of the newest dropped entry."""
        self.dropped_chunk_seq = self.dropped_other_seq = 0
        """``seq`` of the newest dropped chunk, and of the newest other one."""
        self.dropped_position = evicted_up_to
        """The log position up to which events may be missing; None if none are."""
        self._entries: list[Entry] = []
        """All but the latest progress."""
        self._progress: Entry | None = None
        """The latest progress. It is kept apart, since the next one of its run replaces it."""
        self._last_status: Entry | None = None
        self._last_end: Entry | None = None
        self._newest_entry: Entry | None = None
        self._bytes = 0
        """Size of all entries but the latest progress."""
        self._chunk_bytes = 0
        """Size of the chunks."""
        self._others = 0
        """Number of all entries but the latest progress and the chunks."""
        self._joined_after = 0
        self.joined = b""
        """The joined frames after the cursor :attr:`_joined_after`, for further sessions; empty if
        not joined yet. Whoever has them all served frees them."""

    @property
    def count(self) -> int:
        """Number of entries."""
        return len(self._entries) + (self._progress is not None)

    @property
    def size(self) -> int:
        """Bytes of all entries."""
        return self._bytes + (0 if self._progress is None else self._progress.size)

    @property
    def position(self) -> LogPosition | None:
        """The log position of the newest entry."""
        newest = self._newest_entry
        return None if newest is None else newest.position

    @property
    def last_event_id(self) -> str:
        """The event id of the newest entry; empty if there is none."""
        newest = self._newest_entry
        return "" if newest is None else event_id_of_frame(newest.frame)

    def append(self, entry: Entry) -> int:
        """Append an entry. A progress replaces the earlier one of its run.

        Returns:
            The bytes by which the history has grown; negative if it has shrunk.
        """
        self.newest, self._newest_entry = entry.seq, entry
        self.joined = b""
        kind = entry.kind
        if kind is _PROGRESS:
            return self._replace_progress(entry)
        self._entries.append(entry)
        if kind is Kind.STATUS:
            self._last_status = entry
        elif kind is Kind.TERMINAL:
            self._last_end = entry
        elif kind is _CHUNK:
            return self._grow_by_chunk(entry.size)
        return self._grow(entry.size)

    def _replace_progress(self, entry: Entry) -> int:
        before, self._progress = self._progress, entry
        if before is None:
            return entry.size
        if before.run == entry.run:
            return len(entry.frame) - len(before.frame)
        # The last progress of an earlier run stays. It may be older than the last entries.
        insort(self._entries, before, key=_seq)
        return entry.size - before.size + self._grow(before.size)

    def _grow(self, size: int) -> int:
        before = self._bytes
        self._bytes += size
        self._others += 1
        if self._bytes - self._chunk_bytes > MAX_BYTES or self._others >= self._max_entries:
            self._drop_oldest(self._is_other_in_excess)
        return self._bytes - before

    def _grow_by_chunk(self, size: int) -> int:
        before = self._bytes
        self._bytes += size
        self._chunk_bytes += size
        if self._chunk_bytes > MAX_CHUNK_BYTES:
            self._drop_oldest(self._is_chunk_in_excess)
        return self._bytes - before

    def after(self, cursor: int) -> list[Entry]:
        """Return the entries after a cursor, oldest first."""
        entries = self._entries[bisect_right(self._entries, cursor, key=_seq) :]
        progress = self._progress
        if progress is not None and progress.seq > cursor:
            insort(entries, progress, key=_seq)
        return entries

    def frames_after(self, cursor: int) -> bytes:
        """Return the joined frames after a cursor."""
        newest = self._newest_entry
        # Most sessions are at the newest entry but one; the others share what the first one joined.
        if newest is not None and cursor == newest.seq - 1:
            return newest.frame
        if not self.joined or self._joined_after != cursor:
            joined = b"".join([entry.frame for entry in self.after(cursor)])
            if len(joined) > MAX_JOINED_BYTES:
                return joined
            self.joined, self._joined_after = joined, cursor
        return self.joined

    @property
    def progress_seq(self) -> int:
        """``seq`` of the latest progress; 0 if there is none."""
        return 0 if self._progress is None else self._progress.seq

    def only_progress_after(self, cursor: int) -> bool:
        """Return whether there is nothing after a cursor but the latest progress."""
        return not self._entries or self._entries[-1].seq <= cursor

    def cursor_at(self, position: LogPosition) -> int:
        """Return the cursor of a client whose last event has this position in the log."""
        first = bisect_right(self._entries, position, key=_position)
        cursor = self._entries[first - 1].seq if first else 0
        progress = self._progress
        if progress is not None and progress.position <= position:
            return max(cursor, progress.seq)
        return cursor

    def latest_of_run(self, cursor: int) -> list[Entry]:
        """Return the last status, progress and end of the current run, up to a cursor."""
        latest = (self._last_status, self._progress, self._last_end)
        return sorted(
            [one for one in latest if one is not None and self.run_start_seq <= one.seq <= cursor],
            key=_seq,
        )

    # A tenth more is dropped than needed, so that a full history is not walked for each event.

    def _is_chunk_in_excess(self, entry: Entry) -> bool:
        return entry.kind is _CHUNK and self._chunk_bytes > MAX_CHUNK_BYTES * 0.9

    def _is_other_in_excess(self, entry: Entry) -> bool:
        if entry.kind is _CHUNK:
            return False
        count = self._others + (self._progress is not None)
        return count > self._max_entries * 0.9 or self._bytes - self._chunk_bytes > MAX_BYTES * 0.9

    def _drop_oldest(self, is_in_excess: Callable[[Entry], bool]) -> None:
        # The newest entry is kept, too: cursors would not notice the gap if it were dropped.
        keep = {id(self._last_status), id(self._last_end), *map(id, self._entries[-1:])}
        kept: list[Entry] = []
        for entry in self._entries:
            if id(entry) in keep or not is_in_excess(entry):
                kept.append(entry)
            else:
                self._drop(entry)
        self._entries = kept

    def _drop(self, entry: Entry) -> None:
        self._bytes -= entry.size
        # What was kept as the last status once may be dropped after newer entries.
        if entry.kind is _CHUNK:
            self._chunk_bytes -= entry.size
            self.dropped_chunk_seq = entry.seq
        else:
            self._others -= 1
            self.dropped_other_seq = max(self.dropped_other_seq, entry.seq)
        if entry.seq > self.dropped_seq:
            self.dropped_seq, self.dropped_position = entry.seq, entry.position


def _seq(entry: Entry) -> int:
    return entry.seq


def _position(entry: Entry) -> LogPosition:
    return entry.position
