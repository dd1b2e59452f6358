"""One client: what it watches, how far it has read, and what it is to be sent next.

A session knows no socket. The server asks it for frames (:meth:`Session.take`) whenever the
socket can take some, and the hub tells it which operations have news (:meth:`Session.offer`).
Between the two it holds one cursor per operation and nothing else, so being slow costs a
client its intermediate progress, and the sidecar nothing. A client that is so slow that what it
has not read is gone gets a snapshot, if it said that it understands one; else it is let go.

Nearly always a session has read everything when something happens, and what happens is one thing
in one operation. Then it notes no more than which operation has :attr:`~Session.news`, and what
that means in bytes is worked out once for all who watch it.

Replies to commands go before events: the confirmation of a subscription is sent before the
first event of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from celery_wsprogress.framing import framed
from celery_wsprogress.pacing import Pacing, cursor_of
from celery_wsprogress.watch import Watch
from celery_wsprogress.wire import encode_snapshot_frame

if TYPE_CHECKING:
    from celery_wsprogress.access import Permit
    from celery_wsprogress.history import History
    from celery_wsprogress.selector import Selector

MAX_REPLY_BYTES: Final = 1_000_000
"""Unsent replies above this make the server stop reading the client's commands."""


class Outlet(Protocol):
    """Where a session is written to."""

    def flush(self) -> None:
        """Take what there is, as far as the socket takes it."""

    def pass_on(self, frames: bytes) -> None:
        """Write these frames, if the socket takes any: they are all of the session's news."""


class _Nowhere:
    def flush(self) -> None:
        pass

    def pass_on(self, frames: bytes) -> None:
        pass


_NOWHERE: Final = _Nowhere()


class Session:
    """The state of one connection.

    Runs in: the event loop.

    Args:
        client_id: A number for it.
        permit: What it may do.
        outlet: Where it is written to, as soon as there is something.
    """

    __slots__ = (
        "_pending",
        "_replies",
        "_reply_bytes",
        "_woken",
        "caught_up",
        "client_id",
        "commands",
        "cursor",
        "news",
        "outlet",
        "pacing",
        "permit",
        "resyncs",
        "selectors",
        "subscribed",
        "too_slow",
        "watches",
    )

    def __init__(self, client_id: int, permit: Permit, outlet: Outlet = _NOWHERE) -> None:
        self.client_id = client_id
        self.permit = permit
        self.outlet = outlet
        self.caught_up = True
        """It has read everything, and a cursor is all it takes to read on."""
        self.news: History | None = None
        """What it has not read all of, where it was caught up before and that is all there is."""
        self.cursor = 0
        """How far it has read that."""
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
        self.pacing: Pacing | None = None
        """How often it wants to be told of progress, where it has said so."""
        self.too_slow = False
        """It has fallen off an operation's history and cannot be served any more."""
        self._pending: dict[History, int | Watch] = {}
        """What it has not read all of, and how far it has."""
        self._woken = False
        self._replies: list[bytes] = []
        self._reply_bytes = 0

    @property
    def backlogged(self) -> bool:
        """Whether it owes the client so many replies that no command should be read now."""
        return self._reply_bytes > MAX_REPLY_BYTES

    @property
    def has_news(self) -> bool:
        """Whether :meth:`take` would return something now, but for what :attr:`due` is for."""
        return self.news is not None or bool(self._replies or self._pending)

    @property
    def due(self) -> float | None:
        """When :meth:`take` is to be called though nothing new comes; None where it is not."""
        return None if self.pacing is None else self.pacing.due

    def pace(self, target: str | None, max_rate: float) -> None:
        """Be told of progress less often.

        Args:
            target: The id of an operation; None for all that is watched by a selector.
            max_rate: Progress frames a second and operation.
        """
        self._set_news_aside()
        self.pacing = self.pacing or Pacing()
        self.pacing.keep(target, 1 / max_rate)
        self._pending.update(self.pacing.wake_all())

    def unpace(self, operation_id: str) -> None:
        """Be told of an operation as often as of what is selected: it is not watched by its id."""
        if self.pacing is not None:
            self.pacing.release(operation_id)
            self._pending.update(self.pacing.wake_all())

    def reply(self, text: bytes) -> None:
        """Queue the answer to a command."""
        self._set_news_aside()
        self._replies.append(framed(text))
        self._reply_bytes += len(self._replies[-1])

    @property
    def reading(self) -> set[str]:
        """The operations of which it has not read all, or that it watches by more than a cursor."""
        unread = {one.operation.operation_id for one in self._pending}
        if self.news is not None:
            unread.add(self.news.operation.operation_id)
        resting = self.pacing.resting() if self.pacing else set()
        return self.watches.keys() | unread | resting

    def watch(self, history: History, watch: Watch) -> None:
        """Begin to watch an operation, or go back to another cursor of it."""
        self._set_news_aside()
        watch.begin(history)
        self.watches[history.operation.operation_id] = watch
        self._pending[history] = watch

    def expect(self, operation_id: str) -> Watch:
        """Begin to watch an operation that nobody has heard of, by more than a cursor."""
        self._set_news_aside()
        return self.watches.setdefault(operation_id, Watch(0))

    def drop(self, operation_id: str) -> None:
        """Stop watching an operation: what was not sent yet is not sent any more."""
        self._set_news_aside()
        self.watches.pop(operation_id, None)
        for history in [one for one in self._pending if one.operation.operation_id == operation_id]:
            del self._pending[history]
        if self.pacing is not None:
            self.pacing.drop(operation_id)

    def forget(self) -> None:
        """Let go of everything that is unsent: the client is gone."""
        self.news = None
        self.watches.clear()
        self._pending.clear()
        self._replies.clear()
        self._reply_bytes = 0
        self.pacing = None

    def offer(self, history: History, cursor: int) -> bool:
        """Learn that an operation it watches has news.

        Args:
            history: What was delivered of the operation.
            cursor: Up to where the session had read it, if it had read all there was.

        Returns:
            Whether these are the first news since something was taken.
        """
        if self.caught_up:
            self.caught_up = False
            self.news, self.cursor = history, cursor
            return True
        if self.news is not None:
            self._set_news_aside()
        pending = self._pending
        if self.pacing is not None:
            resting = self.pacing.wake(history)
            if resting is not None:
                pending[history] = resting
        if history not in pending:
            if self.watches:
                pending[history] = self.watches.get(history.operation.operation_id, cursor)
            else:
                pending[history] = cursor
        if self._woken:
            return False
        self._woken = True
        return True

    def follow(self, before: History, history: History) -> None:
        """Read on in the history that took the place of another one.

        No :attr:`pacing` knows that one: it had no progress.
        """
        if self.news is before:
            self.news = history
        cursor = self._pending.pop(before, None)
        if cursor is not None:
            self._pending[history] = cursor

    def _set_news_aside(self) -> None:
        """Something comes besides the news: they are one of the things that are pending now."""
        self.caught_up = False
        news, self.news = self.news, None
        if news is not None:
            self._pending[news] = self.cursor
            self._woken = True

    def take_news(self) -> None:
        """Take note that the news are being sent, all of them."""
        self.news = None
        self.caught_up = True

    def take(self, limit: int, now: float) -> bytes:
        """Take the frames to send now, about ``limit`` bytes of them, and one at least.

        What is left is there for the next call. There is none where all that is new was seen
        before.

        Args:
            limit: In bytes.
            now: The time, epoch seconds, for a snapshot.
        """
        self._set_news_aside()
        self._woken = False
        if self.pacing is not None:
            self._pending.update(self.pacing.wake_due(now))
            self._let_rest(self.pacing, now)
        taken = self._take_some(limit, now)
        waits = self._pending or self._replies or self.watches
        self.caught_up = not waits and self.pacing is None
        return taken

    def _take_some(self, limit: int, now: float) -> bytes:
        if len(self._pending) == 1 and not self._replies:
            # One operation has news: nothing is to be joined.
            return self._take_next(limit, now)
        parts = self._take_replies(limit)
        room = limit - sum(map(len, parts))
        while self._pending and room > 0 and not self.too_slow:
            parts.append(self._take_next(room, now))
            room -= len(parts[-1])
        return b"".join(parts)

    def _let_rest(self, pacing: Pacing, now: float) -> None:
        """Leave out what is nothing but progress and not yet to be told."""
        for history, cursor in list(self._pending.items()):
            if pacing.rest(history, cursor, now):
                del self._pending[history]

    def _take_next(self, room: int, now: float) -> bytes:
        """Take what there is of the operation that has waited longest."""
        history, cursor = next(iter(self._pending.items()))
        before = cursor_of(cursor)
        taken = self._take_events(history, cursor, room, now)
        read = history not in self._pending
        if self.pacing is not None and read and history.progress_seq > before:
            self.pacing.told(history, now)
        return taken

    def _take_replies(self, limit: int) -> list[bytes]:
        frames: list[bytes] = []
        room = limit
        for frame in self._replies:
            if room <= 0:
                break
            frames.append(frame)
            room -= len(frame)
        del self._replies[: len(frames)]
        self._reply_bytes -= limit - room
        return frames

    def _take_events(self, history: History, cursor: int | Watch, room: int, now: float) -> bytes:
        if isinstance(cursor, Watch):
            return self._take_watched(history, cursor, room, now)
        if history.dropped <= cursor:
            # Nearly always: a number, and all that is behind it is held.
            frames = history.bytes_after(cursor)
            if len(frames) <= room or history.newest == cursor + 1:
                del self._pending[history]
                return frames
        return self._take_watched(history, Watch(cursor), room, now)

    def _take_watched(self, history: History, watch: Watch, room: int, now: float) -> bytes:
        self._pending[history] = watch
        if watch.has_lost(history):
            watch.fallen = self.resyncs
            self.too_slow = not self.resyncs
            if self.too_slow:
                return b""
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
        return [framed(encode_snapshot_frame(history.snapshot(), missed, now))]
    if watch.standing:
        watch.standing = False
        return [entry.frame for entry in history.standing(watch.cursor)]
    return []
