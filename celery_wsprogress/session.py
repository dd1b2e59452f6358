"""One client: what it watches, how far it has read, and what it is to be sent next.

A session knows no socket. The server asks it for frames (:meth:`Session.take`) whenever the
socket can take some, and the hub tells it which operations have news (:meth:`Session.offer`).
Between the two it holds one cursor per operation and nothing else, so being slow costs a
client its intermediate progress, and the sidecar nothing. A client that is so slow that what it
has not read is gone gets a snapshot, if it said that it understands one; else it is let go.

Replies to commands go before events: the confirmation of a subscription is sent before the
first event of it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from celery_wsprogress.framing import framed
from celery_wsprogress.watch import Watch
from celery_wsprogress.wire import encode_snapshot_frame

if TYPE_CHECKING:
    from celery_wsprogress.access import Permit
    from celery_wsprogress.history import History
    from celery_wsprogress.selector import Selector

MAX_REPLY_BYTES: Final = 1_000_000
"""Unsent replies above this make the server stop reading the client's commands."""


class Session:
    """The state of one connection.

    Runs in: the event loop.
    """

    __slots__ = (
        "_pending",
        "_replies",
        "_reply_bytes",
        "_told",
        "client_id",
        "commands",
        "permit",
        "resyncs",
        "selectors",
        "subscribed",
        "too_slow",
        "watches",
    )

    def __init__(self, client_id: int, permit: Permit) -> None:
        self.client_id = client_id
        self.permit = permit
        self.subscribed: set[str] = set()
        """The operations it watches by their id."""
        self.watches: dict[str, Watch] = {}
        """By operation id, of those where it takes more than a cursor."""
        self.selectors: set[Selector] = set()
        """What it watches besides: all operations, or all of a kind."""
        self.commands = 0
        """Commands taken so far."""
        self.resyncs = False
        """It understands snapshots: once it has said so, it gets one wherever it falls off."""
        self.too_slow = False
        """It has fallen off an operation's history and cannot be served any more."""
        self._pending: dict[History, int | Watch] = {}
        """What it has not read all of, and how far it has."""
        self._told = False
        self._replies: deque[bytes] = deque()
        self._reply_bytes = 0

    @property
    def backlogged(self) -> bool:
        """Whether it owes the client so many replies that no command should be read now."""
        return self._reply_bytes > MAX_REPLY_BYTES

    @property
    def has_news(self) -> bool:
        """Whether :meth:`take` would return something."""
        return bool(self._replies or self._pending)

    def reply(self, text: bytes) -> None:
        """Queue the answer to a command."""
        self._replies.append(framed(text))
        self._reply_bytes += len(self._replies[-1])

    @property
    def reading(self) -> set[str]:
        """The operations of which it has not read all, or that it watches by more than a cursor."""
        return self.watches.keys() | {one.operation.operation_id for one in self._pending}

    def watch(self, history: History, watch: Watch) -> None:
        """Begin to watch an operation, or go back to another cursor of it."""
        watch.begin(history)
        self.watches[history.operation.operation_id] = watch
        self._pending[history] = watch

    def drop(self, operation_id: str) -> None:
        """Stop watching an operation: what was not sent yet is not sent any more."""
        self.watches.pop(operation_id, None)
        for history in [one for one in self._pending if one.operation.operation_id == operation_id]:
            del self._pending[history]

    def forget(self) -> None:
        """Let go of everything that is unsent: the client is gone."""
        self.watches.clear()
        self._pending.clear()
        self._replies.clear()
        self._reply_bytes = 0

    def offer(self, history: History) -> bool:
        """Learn that an operation it watches has a new event.

        Returns:
            Whether that is the first news since something was taken.
        """
        if history not in self._pending:
            watch = self.watches.get(history.operation.operation_id) if self.watches else None
            self._pending[history] = watch or history.newest - 1
        first, self._told = not self._told, True
        return first

    def take(self, limit: int, now: float) -> bytes:
        """Take the frames to send now, about ``limit`` bytes of them, and one at least.

        What is left is there for the next call. There is none where all that is new was seen
        before.

        Args:
            limit: In bytes.
            now: The time, epoch seconds, for a snapshot.
        """
        self._told = False
        frames = self._take_replies(limit)
        room = limit - sum(map(len, frames))
        while self._pending and room > 0 and not self.too_slow:
            history, cursor = next(iter(self._pending.items()))
            taken = self._take_events(history, cursor, room, now)
            room -= len(taken)
            frames.append(taken)
        return frames[0] if len(frames) == 1 else b"".join(frames)

    def _take_replies(self, limit: int) -> list[bytes]:
        frames: list[bytes] = []
        room = limit
        while self._replies and room > 0:
            frames.append(self._replies.popleft())
            room -= len(frames[-1])
        self._reply_bytes -= limit - room
        return frames

    def _take_events(self, history: History, cursor: int | Watch, room: int, now: float) -> bytes:
        if not isinstance(cursor, Watch):
            if history.dropped <= cursor:
                frames = history.bytes_after(cursor)
                if len(frames) <= room or history.newest == cursor + 1:
                    del self._pending[history]
                    return frames
            cursor = self._pending[history] = Watch(cursor)
        if cursor.has_lost(history):
            cursor.fallen = self.resyncs
            self.too_slow = not self.resyncs
        return b"" if self.too_slow else self._take_watched(history, cursor, room, now)

    def _take_watched(self, history: History, watch: Watch, room: int, now: float) -> bytes:
        # How things stand is a few frames without a cursor among them: all of them, or none.
        frames = _standing(watch, history, now)
        room -= sum(map(len, frames))
        for entry in watch.owed(history):
            if room <= 0:
                return b"".join(frames)
            frames.append(entry.frame)
            room -= len(entry.frame)
            watch.take(entry)
        del self._pending[history]
        if not watch.catch_up(history):
            self.watches.pop(history.operation.operation_id, None)
        return b"".join(frames)


def _standing(watch: Watch, history: History, now: float) -> list[bytes]:
    """How things stand, for who has fallen off and for who asked for no more."""
    if watch.fallen:
        missed = watch.tell(history)
        return [framed(encode_snapshot_frame(history.operation.snapshot(), missed, now))]
    if watch.standing:
        watch.standing = False
        return [entry.frame for entry in history.standing(watch.cursor)]
    return []
