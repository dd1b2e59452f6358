"""The cursor of a client that needs more than a sequence number to read an operation.

Mostly a cursor is a number: the ``seq`` of the last entry of the operation's history that the
client was sent. A :class:`ReplayCursor` takes its place while one of these holds:

* **It has just begun**, in a history that may have lost entries before.
* **The client has seen what comes next.** It moved here from a sidecar that was further in the
  log. Entries up to the last event that it saw are skipped.
* **Entries it has not read are gone.** The history is bounded, and went on without the client.
  The client *needs a snapshot*.
* **A snapshot was sent.** A snapshot shows the operation as it stands, so statuses and progress up
  to then are not sent again. It contains no log lines, no result and not the end that every
  client waits for: of those, everything that is still held follows.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from celery_wsprogress.operations.history import Kind

if TYPE_CHECKING:
    from celery_wsprogress.operations.history import Entry, History
    from celery_wsprogress.protocol.event_ids import LogPosition


class SnapshotMark(NamedTuple):
    """How far a snapshot reached."""

    seq: int
    """Of the newest event that it contains."""
    run_start_seq: int
    """Of the first event of the run that it shows."""

    def still_needs(self, entry: Entry) -> bool:
        """Whether the entry is to be sent although a snapshot was."""
        if entry.seq > self.seq or entry.kind is Kind.OTHER:
            return True
        return entry.kind is Kind.TERMINAL and entry.seq >= self.run_start_seq


class ReplayCursor:
    """How far a client has read one operation.

    Args:
        seq: ``seq`` of the last entry it was sent.
        send_latest: Whether the entries that show how things stood there are still to be sent.
    """

    __slots__ = (
        "_counted",
        "_unread",
        "lost_before",
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
        self.lost_before = 0
        """``seq`` up to which the client accepts that entries are gone."""
        self.needs_snapshot = False
        self.missed_unknown = False
        """Nobody knows how many events the client has missed."""
        self.unknown_since: str | None = None
        """The id of the last event it saw, of an epoch of the log that is not known yet."""
        self.skip_until: LogPosition | None = None
        """The position of the last event that it saw, while that is still to be read."""
        self.snapshot: SnapshotMark | None = None
        """The snapshot that it was sent, until everything behind it was sent, too."""
        self._unread = 0
        self._counted = seq
        """``seq`` of the newest event that is counted in :attr:`_unread`."""

    def attach(self, history: History) -> None:
        """Begin to read a history. What it has lost before is not this client's to miss."""
        self.lost_before = history.dropped_seq
        self._unread, self._counted = len(history.after(self.seq)), history.newest

    def has_gap(self, history: History) -> bool:
        """Whether an entry behind the cursor is no longer held."""
        return history.dropped_seq > max(self.seq, self.lost_before)

    def pending_entries(self, history: History) -> list[Entry]:
        """The entries that are to be sent, oldest first."""
        entries = history.after(self.seq)
        if self.skip_until is None and self.snapshot is None:
            return entries
        return [entry for entry in entries if self._is_due(entry)]

    def _is_due(self, entry: Entry) -> bool:
        if self.skip_until is not None and entry.position <= self.skip_until:
            return False
        return self.snapshot is None or self.snapshot.still_needs(entry)

    def mark_sent(self, entry: Entry) -> None:
        """Record that an entry was sent."""
        self.seq = entry.seq
        self._unread -= 1

    def mark_snapshot_sent(self, history: History) -> int | None:
        """Record that the client gets a snapshot now.

        Returns:
            How many events it was not sent and will not be; None where nobody knows.
        """
        self.snapshot = SnapshotMark(history.newest, history.run_start_seq)
        self.lost_before = history.dropped_seq
        self.needs_snapshot = self.send_latest = False
        self._unread += history.newest - max(self._counted, history.first_seq)
        self._counted = history.newest
        follow = len(self.pending_entries(history))
        missed = None if self.missed_unknown else self._unread - follow
        self._unread, self.missed_unknown = follow, False
        return missed

    def finish(self, history: History) -> bool:
        """Record that everything there is was sent.

        Returns:
            Whether a number is not enough yet.
        """
        self.seq = self._counted = history.newest
        self._unread, self.snapshot = 0, None
        newest = history.position
        if self.skip_until is not None and newest is not None and newest > self.skip_until:
            self.skip_until = None
        return self.skip_until is not None or self.unknown_since is not None
