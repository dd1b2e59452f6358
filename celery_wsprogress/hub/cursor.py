"""The cursor of a client in the history of one operation, where a number is not enough.

Usually a cursor is a number: the ``seq`` of the last entry of the history that the client was sent.
A session (:mod:`.session`) replaces the number by a :class:`ReplayCursor` in these cases:

* The subscription has just begun, and the history may have dropped entries before.
* The client comes from a sidecar that was further in the log. Entries up to the last event that it
  saw there are skipped.
* Entries that the client has not read were dropped, since a history is bounded. The client needs a
  snapshot.
* The client has selected very many operations at once: they share a :class:`SelectionCursor`.
* A snapshot was sent. Log lines, chunks, results and the terminal event, which it does not contain,
  are still sent; earlier statuses and progress are not.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from celery_wsprogress.operations.history_entry import Kind
from celery_wsprogress.protocol.frames import text_frame
from celery_wsprogress.protocol.messages import encode_snapshot_frame

if TYPE_CHECKING:
    from celery_wsprogress.hub.disclosure import Disclosure
    from celery_wsprogress.hub.operation_record import OperationRecord
    from celery_wsprogress.operations.history import History
    from celery_wsprogress.operations.history_entry import Entry
    from celery_wsprogress.protocol.event_ids import LogPosition


class SnapshotMark(NamedTuple):
    """The point of the history at which a snapshot was taken."""

    seq: int
    """``seq`` of the newest event that the snapshot contains."""
    run_start_seq: int
    """``seq`` of the first event of the run that the snapshot shows."""

    def still_needs(self, entry: Entry) -> bool:
        """Return whether an entry must be sent in spite of the snapshot."""
        # Log lines, results (`OTHER`) and chunks are not in a snapshot, of whichever run they are.
        if entry.seq > self.seq or entry.kind is Kind.OTHER or entry.kind is Kind.CHUNK:
            return True
        # A snapshot of an operation that has ended does not replace the terminal event: clients
        # wait for that. But the end of an earlier run would look like the end of this one.
        return entry.kind is Kind.TERMINAL and entry.seq >= self.run_start_seq


class SelectionCursor(NamedTuple):
    """The position of a client in each history that it has selected at once, and not begun to read.

    All of them share one, since a selector may match very many operations.
    """

    position: LogPosition
    """The log position when the client subscribed."""
    whole_run: bool
    """Whether the current run is replayed from its start, instead of its latest events."""

    def open(self, history: History) -> ReplayCursor:
        """Return the cursor to read one of the histories with."""
        seq = history.cursor_at(self.position)
        if self.whole_run:
            seq = min(seq, history.run_start_seq - 1)
        cursor = ReplayCursor(seq, send_latest=not self.whole_run)
        cursor.attach(history)
        dropped = history.dropped_position
        if dropped is not None and dropped > self.position:
            # Entries that came after the subscription were dropped: the client has missed them.
            cursor.lost_before = cursor.lost_chunks_before = 0
        return cursor


class ReplayCursor:
    """The position of a client in the history of one operation.

    Args:
        seq: ``seq`` of the last entry that the client was sent.
        send_latest: Whether the latest status and progress up to there are still to be sent.
    """

    __slots__ = (
        "_counted",
        "_unread",
        "lost_before",
        "lost_chunks_before",
        "missed_unknown",
        "needs_snapshot",
        "send_latest",
        "seq",
        "skip_until",
        "snapshot",
        "unknown_since",
    )

    def __init__(self, seq: int, *, send_latest: bool = False) -> None:
        self.seq = seq
        self.send_latest = send_latest
        self.lost_before = self.lost_chunks_before = 0
        # Entries may have been dropped before the client subscribed, or may be made up for by a
        # snapshot. They are no gap.
        self.needs_snapshot = False
        """Whether a snapshot is to be sent before anything else."""
        self.missed_unknown = False
        """Whether it is unknown how many events the client has missed."""
        self.unknown_since: str | None = None
        """Id of the last event that the client saw, if its epoch of the log is not known yet."""
        self.skip_until: LogPosition | None = None
        """Position of the last event that the client saw, until the sidecar has read that far."""
        self.snapshot: SnapshotMark | None = None
        """The snapshot that was sent, until all entries that it leaves out were sent, too."""
        self._unread = 0
        """Number of events that the client was not sent, up to :attr:`_counted`."""
        self._counted = seq
        """``seq`` of the newest event that is counted in :attr:`_unread`."""

    def attach(self, history: History) -> None:
        """Begin to read a history."""
        self._forgive(history)
        # Not `newest - seq`: replaced progress has left gaps, and was not missed by this client.
        self._unread, self._counted = len(history.after(self.seq)), history.newest

    def has_gap(self, history: History) -> bool:
        """Return whether an entry after the cursor was dropped."""
        # What was dropped up to the cursor was sent before. Of chunks and of all others the oldest
        # are dropped, each by themselves.
        return history.dropped_other_seq > max(
            self.seq, self.lost_before
        ) or history.dropped_chunk_seq > max(self.seq, self.lost_chunks_before)

    def _forgive(self, history: History) -> None:
        """Record that what was dropped until now is no gap."""
        self.lost_before = history.dropped_other_seq
        self.lost_chunks_before = history.dropped_chunk_seq

    def pending_entries(self, history: History) -> list[Entry]:
        """Return the entries that are to be sent, oldest first."""
        entries = history.after(self.seq)
        if self.skip_until is None and self.snapshot is None:
            return entries
        return [entry for entry in entries if self._is_due(entry)]

    def _is_due(self, entry: Entry) -> bool:
        # Positions in the log compare across sidecars. `seq` does not: each history counts its own.
        if self.skip_until is not None and entry.position <= self.skip_until:
            return False
        return self.snapshot is None or self.snapshot.still_needs(entry)

    def take(
        self, record: OperationRecord, room: int, timestamp: float, shown: Disclosure | None
    ) -> tuple[bytes, bool]:
        """Take the next frames: about ``room`` bytes, but at least one frame.

        Args:
            record: The operation.
            room: Bytes.
            timestamp: Epoch seconds now.
            shown: What the client is shown of the operation; None if that is everything.

        Returns:
            The joined frames, and whether none is left.
        """
        # No cursor stands between these frames, so they are sent together.
        frames = self.take_latest(record, timestamp, shown)
        room -= sum(map(len, frames))
        for entry in self.pending_entries(record.history):
            if room <= 0:
                return b"".join(frames), False
            frames.append(entry.frame if shown is None else shown.of_frame(entry.frame))
            room -= len(entry.frame)
            self.mark_sent(entry)
        return b"".join(frames), True

    def take_latest(
        self, record: OperationRecord, timestamp: float, shown: Disclosure | None = None
    ) -> list[bytes]:
        """Take the frames that show the state of the operation: a snapshot, or the latest events.

        There are none for a client that is sent every event. ``timestamp`` is epoch seconds now.
        """
        # A snapshot contains what the latest events say, so it comes instead of them.
        if self.needs_snapshot:
            missed = self.mark_snapshot_sent(record.history)
            snapshot = record.snapshot() if shown is None else shown.of_snapshot(record)
            return [text_frame(encode_snapshot_frame(snapshot, missed, timestamp))]
        if self.send_latest:
            self.send_latest = False
            latest = [entry.frame for entry in record.history.latest_of_run(self.seq)]
            return latest if shown is None else [shown.of_frame(one) for one in latest]
        return []

    def mark_sent(self, entry: Entry) -> None:
        """Record that an entry was sent."""
        self.seq = entry.seq
        self._unread -= 1

    def mark_snapshot_sent(self, history: History) -> int | None:
        """Record that the client is sent a snapshot now.

        Returns:
            The number of events that it was not sent and will not be sent; None if unknown.
        """
        self.snapshot = SnapshotMark(history.newest, history.run_start_seq)
        # The snapshot makes up for everything that was dropped until now.
        self._forgive(history)
        self.needs_snapshot = self.send_latest = False
        # Count the events since the last count. If the operation was evicted meanwhile, its new
        # history begins after `first_seq`: numbers up to there are no events of it.
        self._unread += history.newest - max(self._counted, history.first_seq)
        self._counted = history.newest
        # The mark is set above, so these are only the entries that the snapshot does not contain.
        # They are not missed: they follow it.
        follow = len(self.pending_entries(history))
        missed = None if self.missed_unknown else self._unread - follow
        self._unread, self.missed_unknown = follow, False
        return missed

    def finish(self, history: History) -> bool:
        """Record that all entries were sent.

        Returns:
            Whether the cursor must be kept, because a number is not enough yet.
        """
        self.seq = self._counted = history.newest
        self._unread, self.snapshot = 0, None
        # Positions only grow. Once the log is past the event, nothing is left to skip.
        newest = history.position
        if self.skip_until is not None and newest is not None and newest > self.skip_until:
            self.skip_until = None
        # `Hub._start_epoch` may still turn `unknown_since` into a position, if the sidecar comes to
        # the epoch of that event.
        return self.skip_until is not None or self.unknown_since is not None


Cursor: TypeAlias = int | ReplayCursor | SelectionCursor
"""A cursor in one history. A number is the ``seq`` of the last entry that the client was sent."""


def seq_of(cursor: Cursor) -> int:
    """Return the ``seq`` of the last entry that the client was sent; 0 if that is not known yet."""
    if isinstance(cursor, SelectionCursor):
        return 0
    return cursor if isinstance(cursor, int) else cursor.seq
