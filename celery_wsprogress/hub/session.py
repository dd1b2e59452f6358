"""The session of one client: its subscriptions, its cursors, and the frames to send next.

A session writes to a :class:`FrameWriter`. The fan-out notifies it of operations with new entries
(:meth:`Session.notify`) and has it write (:meth:`Session.flush`). In between it holds one cursor
for each operation that it has not read to the end, so a slow client misses replaced progress and
costs no memory. If unread entries were dropped, it gets a snapshot if it accepts one, or is closed.

Replies are sent before events, so that a subscription is confirmed before its first event.

Pure: times are passed in. ``now`` is seconds of the monotonic clock, for the rate limit;
``timestamp`` is epoch seconds, for snapshots.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from celery_wsprogress.hub.cursor import ReplayCursor, SelectionCursor, seq_of
from celery_wsprogress.hub.disclosure import disclosure_to, is_hidden
from celery_wsprogress.hub.frame_writer import NULL_WRITER, FrameWriter
from celery_wsprogress.hub.rate_limit import ProgressRateLimiter
from celery_wsprogress.hub.reply_queue import ReplyQueue

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from celery_wsprogress.access.permissions import Permit
    from celery_wsprogress.hub.cursor import Cursor
    from celery_wsprogress.hub.operation_record import OperationRecord
    from celery_wsprogress.operations.selector import Selector

WRITE_BYTES: Final = 65_536
"""Approximate bytes of one write to the socket."""

MAX_WRITES_PER_FLUSH: Final = 4
"""Maximum number of writes before other sessions have their turn."""

MAX_OPERATIONS_PER_WRITE: Final = 1_000
"""Maximum number of operations whose unread entries are joined in one write."""


class Session:
    """The state of one connection.

    Runs in: the event loop.

    Args:
        client_id: Number of the client.
        permit: The rights of the client.
        writer: The writer of its socket.
    """

    __slots__ = (
        "_notified",
        "_rate_limiter",
        "_unread",
        "accepts_snapshots",
        "client_id",
        "commands",
        "cursors",
        "is_answering",
        "max_rates",
        "permit",
        "replies",
        "selectors",
        "snapshots",
        "subscribed",
        "subscribed_bytes",
        "too_slow",
        "valid_until",
        "writer",
    )

    def __init__(self, client_id: int, permit: Permit, writer: FrameWriter = NULL_WRITER) -> None:
        self.client_id = client_id
        self.permit = permit
        self.writer = writer
        self.subscribed: set[str] = set()
        """Ids of the operations that it is subscribed to by id."""
        self.subscribed_bytes = 0  # Memory of these texts.
        self.selectors: set[Selector] = set()
        """The selectors that it is subscribed to."""
        self.cursors: dict[str, ReplayCursor] = {}
        """Cursors by operation id, where a number is not enough."""
        self.commands = 0  # Number of commands processed.
        self.is_answering = False  # Events wait for the reply to the command that is executed.
        self.accepts_snapshots = False
        """Whether the client has sent ``resync: true``."""
        self.snapshots = 0  # Number of those sent for events that were dropped.
        self.too_slow = False
        """Whether unread entries were dropped, so that the connection must be closed."""
        self.valid_until = float("inf")
        """Epoch seconds from which on nothing is written before its rights were checked again."""
        self._unread: dict[OperationRecord, Cursor] = {}
        """Cursors of the operations that it has not read to the end."""
        self._notified = False
        """Whether :meth:`notify` was called since the last :meth:`take`."""
        self.replies = ReplyQueue()
        """The replies to its commands."""
        self._rate_limiter: ProgressRateLimiter[OperationRecord, Cursor] | None = None
        self.max_rates: dict[str | None, float] = {}
        """Minimum seconds between two progress frames by operation id; None: for all selected."""

    @property
    def has_unread(self) -> bool:
        """Whether :meth:`take` may return frames now; see also :attr:`next_due`."""
        return bool(self.replies or self._unread)

    @property
    def next_due(self) -> float | None:
        """Monotonic time at which held back progress is due; None if there is none."""
        return None if self._rate_limiter is None else self._rate_limiter.next_due

    def set_max_rate(self, operation_id: str | None, max_rate: float) -> None:
        """Limit the progress frames per second of an operation; None: of each that is selected."""
        if self._rate_limiter is None:
            self._rate_limiter = ProgressRateLimiter()
        interval = self.max_rates[operation_id] = 1 / max_rate
        self._rate_limiter.max_interval = max(self._rate_limiter.max_interval, interval)
        self._unread.update(self._rate_limiter.resume_all())

    def clear_max_rates(self, operation_ids: Iterable[str]) -> None:
        """Remove the limits of operations; that of selected operations applies instead."""
        if self._rate_limiter is not None:
            for operation_id in operation_ids:
                self.max_rates.pop(operation_id, None)
            self._unread.update(self._rate_limiter.resume_all())

    def reading(self) -> set[str]:
        """Return the ids of the operations that it has a cursor for."""
        held_back = self._rate_limiter.held_back() if self._rate_limiter else ()
        return {*self.cursors, *[one.operation.operation_id for one in (*self._unread, *held_back)]}

    def read(self, record: OperationRecord, cursor: ReplayCursor) -> None:
        """Begin to read an operation, or go back to another cursor of it."""
        cursor.attach(record.history)
        self.cursors[record.operation_id] = cursor
        self._unread[record] = cursor

    def read_all(self, records: Iterable[OperationRecord], cursor: SelectionCursor) -> None:
        """Begin to read operations that were selected at once."""
        self._unread.update(dict.fromkeys(records, cursor))

    def expect(self, operation_id: str) -> ReplayCursor:
        """Return the cursor for an operation that is not held yet."""
        return self.cursors.setdefault(operation_id, ReplayCursor(0))

    def discard(self, operation_ids: AbstractSet[str]) -> None:
        """Drop the unread entries of these operations."""
        for operation_id in operation_ids & self.cursors.keys():
            del self.cursors[operation_id]
        if self._rate_limiter is not None:
            for record in self._rate_limiter.held_back():
                if record.operation_id in operation_ids:
                    self._rate_limiter.resume(record)
        # Not looked up by the id: an operation that was evicted may still have unread entries.
        for record in [one for one in self._unread if one.operation_id in operation_ids]:
            del self._unread[record]

    def clear(self) -> None:
        """Drop everything that is unsent, when the connection has ended."""
        self.cursors.clear()
        self._unread.clear()
        self.replies.clear()
        self._rate_limiter = None

    def notify(self, record: OperationRecord, cursor: int) -> bool:
        """Record that an operation has new entries.

        Args:
            record: The operation.
            cursor: ``seq`` of the last entry before the new ones.

        Returns:
            Whether the session must be flushed, and was not notified since the last :meth:`take`.
        """
        if record not in self._unread:
            limiter = self._rate_limiter
            if limiter is not None and (held_back := limiter.get(record)) is not None:
                if record.history.only_progress_after(seq_of(held_back)):
                    return False  # It is due later, and then the newest progress is sent.
                self._unread[record] = held_back
                limiter.resume(record)
            elif self.cursors:
                self._unread[record] = self.cursors.get(record.operation_id, cursor)
            else:
                self._unread[record] = cursor
        first = not self._notified
        self._notified = True
        return first

    def flush(self, now: float, timestamp: float) -> None:
        """Write unread entries while the socket accepts them. Never waits."""
        writer = self.writer
        for _ in range(MAX_WRITES_PER_FLUSH):
            if not writer.ready or self.is_answering or timestamp >= self.valid_until:
                return
            if len(self._unread) == 1 and self._rate_limiter is None and not self.replies:
                # Nearly always. A call that is saved counts per client, and wakes it less often.
                record, cursor = self._unread.popitem()
                history = record.history
                hides = self.permit.may_hide or record.operation.rights_vary
                if type(cursor) is int and history.dropped_seq <= cursor and not hides:
                    frames = history.frames_after(cursor)
                    if len(frames) <= WRITE_BYTES:
                        self._notified = False
                        writer.write(frames)
                        return
                self._unread[record] = cursor
            frames = self.take(WRITE_BYTES, now, timestamp)
            # There are none if the client has seen all entries on another sidecar.
            if frames:
                writer.write(frames)
            if self.too_slow:
                writer.close_too_slow()
                return
            if not self._unread and not self.replies:
                if self._rate_limiter is not None and self._rate_limiter.next_due is not None:
                    writer.flush_at(self._rate_limiter.next_due)
                return
        writer.flush_soon()

    def take(self, limit: int, now: float, timestamp: float) -> bytes:
        """Return the frames to send next, joined: about ``limit`` bytes, but at least one frame.

        The next call returns what is left. Empty if the client has seen all new entries.
        """
        self._notified = False
        if self._rate_limiter is not None:
            self._unread.update(self._rate_limiter.take_due(now))
            self._hold_back_progress(self._rate_limiter, now)
        parts = self.replies.take(limit) if self.replies else []
        room = limit - sum(map(len, parts))
        # Copied at once: each look for the first entry passes over all that were deleted before it.
        for record, cursor in list(islice(self._unread.items(), MAX_OPERATIONS_PER_WRITE)):
            if room <= 0 or self.too_slow:
                break
            parts.append(self._take_from(record, cursor, room, now, timestamp))
            room -= len(parts[-1])
        if not self._unread:
            self._unread.clear()  # An emptied dictionary keeps the memory of its largest size.
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _hold_back_progress(
        self, limiter: ProgressRateLimiter[OperationRecord, Cursor], now: float
    ) -> None:
        selected = self.max_rates.get(None, 0.0)
        for record, cursor in list(self._unread.items()):
            interval = self.max_rates.get(record.operation_id, selected)
            if limiter.is_due(record, interval, now):
                continue
            if record.history.only_progress_after(seq_of(cursor)):
                limiter.hold_back(record, cursor, interval)
                del self._unread[record]

    def _take_from(
        self, record: OperationRecord, cursor: Cursor, room: int, now: float, timestamp: float
    ) -> bytes:
        """Take the unread entries of one operation, as far as there is room."""
        history, shown = record.history, None
        if self.permit.may_hide or record.operation.rights_vary:
            if is_hidden(self.permit, record.operation, timestamp):
                del self._unread[record]
                self.cursors.pop(record.operation_id, None)
                return b""
            shown = disclosure_to(self.permit, record.operation, timestamp)
        if isinstance(cursor, SelectionCursor):
            cursor = cursor.open(history)
        elif isinstance(cursor, int):
            if history.dropped_seq <= cursor and shown is None:
                frames = history.frames_after(cursor)
                if len(frames) <= room or history.newest == cursor + 1:
                    self._mark_read(record, cursor, now)
                    return frames
            cursor = ReplayCursor(cursor)
        if not self._prepare(record, cursor):
            return b""
        before = cursor.seq
        self.snapshots += cursor.needs_snapshot
        frames, is_finished = cursor.take(record, room, timestamp, shown)
        if is_finished:
            self._mark_read(record, before, now)
            if not cursor.finish(history):
                self.cursors.pop(record.operation_id, None)
        return frames

    def _mark_read(self, record: OperationRecord, before: int, now: float) -> None:
        del self._unread[record]
        if self._rate_limiter is not None and record.history.progress_seq > before:
            self._rate_limiter.mark_sent(record, now)

    def _prepare(self, record: OperationRecord, cursor: ReplayCursor) -> bool:
        """Begin to take with a cursor. Return False if the client has missed events for good."""
        self._unread[record] = cursor
        if cursor.has_gap(record.history):
            self.too_slow = not self.accepts_snapshots
            cursor.needs_snapshot = self.accepts_snapshots
        return not self.too_slow
