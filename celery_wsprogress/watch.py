"""How far one client has read one operation, where that takes more than a number.

Mostly it is a number: the *cursor*, the ``seq`` of the last entry of the operation's history that
the client was sent. A watch is a cursor to which something has come:

* **It has just begun**, in a history that may have lost something before.
* **What comes was seen.** The client moved here from a sidecar that was further in the log. What
  stands at or before the last event it saw is passed over, until that event is passed.
* **What it has not read is gone.** The history is bounded and went on without it. It has *fallen
  off*, and is owed a snapshot.
* **A snapshot told it.** A snapshot is the operation as it stands, so what statuses and progress
  said up to then is not said again. A snapshot holds no lines and no result, and it is not the
  end that every watcher waits for: of those, all that is retained still follows.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from celery_wsprogress.history import Kind

if TYPE_CHECKING:
    from celery_wsprogress.history import Entry, History
    from celery_wsprogress.positions import Position


class Told(NamedTuple):
    """What a snapshot told."""

    seq: int
    """Of the newest event that is in it."""
    start: int
    """Of the first event of the run it showed."""

    def lacks(self, entry: Entry) -> bool:
        """Whether the entry still is to be sent after the snapshot."""
        if entry.seq > self.seq or entry.kind is Kind.LINE:
            return True
        return entry.kind is Kind.END and entry.seq >= self.start


class Watch:
    """How far a session has read one operation."""

    __slots__ = (
        "_counted",
        "_unread",
        "cursor",
        "fallen",
        "forgone",
        "seen",
        "since",
        "standing",
        "told",
        "uncounted",
    )

    def __init__(self, cursor: int, *, standing: bool = False) -> None:
        self.cursor = cursor
        """``seq`` of the last entry it was sent."""
        self.standing = standing
        """How things stood at the cursor is still to be sent."""
        self.forgone = 0
        """``seq`` up to which it does without what is no longer held."""
        self.fallen = False
        """It is owed a snapshot."""
        self.uncounted = False
        """Nobody knows how many events it is to do without."""
        self.since: str | None = None
        """The id of the last event it saw, of an epoch of the log that is not known yet."""
        self.seen: Position | None = None
        """Where the last event that it saw stands, while that is still to come."""
        self.told: Told | None = None
        """What a snapshot has told it of what is behind the cursor."""
        self._unread = 0
        self._counted = cursor
        """``seq`` of the newest event that is counted in :attr:`_unread`."""

    def begin(self, history: History) -> None:
        """Begin to read a history that may have lost something before."""
        self.forgone = history.dropped
        self._unread, self._counted = len(history.after(self.cursor)), history.newest

    def has_lost(self, history: History) -> bool:
        """Whether something behind the cursor is no longer held."""
        return history.dropped > max(self.cursor, self.forgone)

    def owed(self, history: History) -> list[Entry]:
        """The entries that are to be sent, oldest first."""
        entries = history.after(self.cursor)
        if self.seen is None and self.told is None:
            return entries
        return [entry for entry in entries if self._is_news(entry)]

    def _is_news(self, entry: Entry) -> bool:
        if self.seen is not None and entry.position <= self.seen:
            return False
        return self.told is None or self.told.lacks(entry)

    def take(self, entry: Entry) -> None:
        """Take note that an entry was sent."""
        self.cursor = entry.seq
        self._unread -= 1

    def tell(self, history: History) -> int | None:
        """Take note that the client gets a snapshot now.

        Returns:
            How many events it was not sent and will not be; None where nobody knows.
        """
        self.told = Told(history.newest, history.start)
        self.forgone = history.dropped
        self.fallen = self.standing = False
        self._unread += history.newest - max(self._counted, history.before)
        self._counted = history.newest
        follow = len(self.owed(history))
        missed = None if self.uncounted else self._unread - follow
        self._unread, self.uncounted = follow, False
        return missed

    def catch_up(self, history: History) -> bool:
        """Take note that everything was sent that there is.

        Returns:
            Whether it is more than a cursor still.
        """
        self.cursor = self._counted = history.newest
        self._unread, self.told = 0, None
        if self.seen is not None and history.position is not None and history.position > self.seen:
            self.seen = None
        return self.seen is not None or self.since is not None
