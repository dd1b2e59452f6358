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
        """By operation id. That of an operation it watches only by a selector exists while
        something of it is unsent, or was seen before it comes."""
        self.selectors: set[Selector] = set()
        """What it watches besides: all operations, or all of a kind."""
        self.commands = 0
        """Commands taken so far."""
        self.resyncs = False
        """It understands snapshots: once it has said so, it gets one wherever it falls off."""
        self.too_slow = False
        """It has fallen off an operation's history and cannot be served any more."""
        self._pending: dict[str, History] = {}
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

    def reply(self, frame: bytes) -> None:
        """Queue the answer to a command."""
        self._replies.append(frame)
        self._reply_bytes += len(frame)

    def watch(self, operation_id: str, history: History, watch: Watch) -> None:
        """Begin to watch an operation, or go back to another cursor of it."""
        watch.begin(history)
        self.watches[operation_id] = watch
        self._pending[operation_id] = history

    def drop(self, operation_id: str) -> None:
        """Stop watching an operation: what was not sent yet is not sent any more."""
        self.watches.pop(operation_id, None)
        self._pending.pop(operation_id, None)

    def forget(self) -> None:
        """Let go of everything that is unsent: the client is gone."""
        self.watches.clear()
        self._pending.clear()
        self._replies.clear()
        self._reply_bytes = 0

    def offer(self, operation_id: str, history: History, seq: int) -> None:
        """Learn that an operation it watches has a new event.

        Sets :attr:`too_slow` when the history has gone on without this client and it cannot be
        told by a snapshot.
        """
        watch = self.watches.get(operation_id)
        if watch is None:
            watch = self.watches[operation_id] = Watch(seq - 1)
        watch.unread += 1
        # What it had not read may have been dropped, or have gone with the whole history.
        unread = self._pending.get(operation_id, history)
        if unread is not history or watch.has_lost(history):
            watch.fallen = self.resyncs
            self.too_slow = self.too_slow or not self.resyncs
        self._pending[operation_id] = history

    def take(self, limit: int, now: float) -> list[bytes]:
        """Take the frames to send now, about ``limit`` bytes of them, and at least one.

        What is left is there for the next call. There is none where all that is new was seen
        before.

        Args:
            limit: In bytes.
            now: The time, epoch seconds, for a snapshot.
        """
        frames = self._take_replies(limit)
        room = limit - sum(map(len, frames))
        while self._pending and room > 0:
            operation_id, history = next(iter(self._pending.items()))
            taken = self._take_events(operation_id, history, room, now)
            room -= sum(map(len, taken))
            frames += taken
        return frames

    def _take_replies(self, limit: int) -> list[bytes]:
        frames: list[bytes] = []
        room = limit
        while self._replies and room > 0:
            frames.append(self._replies.popleft())
            room -= len(frames[-1])
        self._reply_bytes -= limit - room
        return frames

    def _take_events(
        self, operation_id: str, history: History, room: int, now: float
    ) -> list[bytes]:
        watch = self.watches[operation_id]
        # How things stand is a few frames without a cursor among them: all of them, or none.
        frames = _standing(watch, history, now)
        room -= sum(map(len, frames))
        for entry in watch.owed(history):
            if room <= 0:
                return frames
            frames.append(entry.frame)
            room -= len(entry.frame)
            watch.cursor = entry.seq
            watch.unread -= 1
        watch.catch_up(history)
        del self._pending[operation_id]
        if operation_id not in self.subscribed and watch.seen is None:
            del self.watches[operation_id]
        return frames


def _standing(watch: Watch, history: History, now: float) -> list[bytes]:
    """How things stand, for who has fallen off and for who asked for no more."""
    if watch.fallen:
        missed = watch.tell(history)
        return [encode_snapshot_frame(history.operation.snapshot(), missed, now)]
    if watch.standing:
        watch.standing = False
        return [entry.frame for entry in history.standing(watch.cursor)]
    return []
