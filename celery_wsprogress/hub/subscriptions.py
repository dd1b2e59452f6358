"""Begin and end subscriptions: by id or by a selector, from now on or with what was before.

A subscription does not hold an operation: a session that is subscribed to an id nobody has heard of
is notified when the operation appears.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from celery_wsprogress.hub.cursor import ReplayCursor
from celery_wsprogress.hub.subscription_index import SubscriptionIndex, selects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from celery_wsprogress.hub.log_cursor import LogCursor
    from celery_wsprogress.hub.session import Session
    from celery_wsprogress.hub.store import OperationRecord, OperationStore
    from celery_wsprogress.operations.history import History
    from celery_wsprogress.operations.selector import Selector
    from celery_wsprogress.protocol.event_ids import LogPosition

MAX_EVENT_ID_LENGTH: Final = 100
"""Longer event ids are not ours. A client may send them, but they are not kept."""


class Subscriptions:
    """The subscriptions of all sessions.

    Args:
        store: The operations.
        log: How far the log was read.
        on_unknown: Called with an id that somebody subscribes to and nobody has heard of.
    """

    def __init__(
        self,
        store: OperationStore,
        log: LogCursor,
        on_unknown: Callable[[str], None] | None = None,
    ) -> None:
        self.index = SubscriptionIndex()
        self.on_unknown = on_unknown
        self._store = store
        self._log = log

    def subscribe(
        self, session: Session, operation_id: str, *, replay: str | None, since: str | None
    ) -> bool:
        """Subscribe to an operation; what is to be replayed follows the reply.

        Args:
            session: Who.
            operation_id: Which one.
            replay: ``all``, ``last`` or ``none``; None for what fits: everything that the
                session has not seen.
            since: The last ``event_id`` that the client saw, or None.

        Returns:
            With ``since``: whether exactly what is missing follows.
        """
        record = self._store.get(operation_id)
        again = operation_id in session.subscribed or selects(session, record)
        self.index.add(session, operation_id)
        if again and since is None and replay is None:
            return False
        position = self._log.position_of(since)
        if record is None:
            return self._expect(session, operation_id, position, since)
        history = record.history
        recovered = self._log.can_recover(position, history.dropped_position)
        cursor = _start_cursor(history, position, replay)
        cursor.unknown_since = _id_of_unknown_epoch(since, position)
        if since is not None and not recovered and cursor.skip_until is None:
            cursor.needs_snapshot = cursor.missed_unknown = session.accepts_snapshots
        session.read(record, cursor)
        return recovered

    def _expect(
        self, session: Session, operation_id: str, position: LogPosition | None, since: str | None
    ) -> bool:
        """Subscribe to an operation that nobody has heard of."""
        if self.on_unknown is not None:
            self.on_unknown(operation_id)
        # What is unsent of one that was evicted still comes, from where the session was.
        if since is not None:
            cursor = session.expect(operation_id)
            cursor.skip_until = position
            cursor.unknown_since = _id_of_unknown_epoch(since, position)
        return self._log.can_recover(position, self._store.evicted_up_to)

    def select(self, session: Session, selector: Selector, *, replay: str) -> None:
        """Subscribe to every operation that a selector matches, now or later.

        Args:
            session: Who.
            selector: Which ones.
            replay: ``last``: how things stand with each of them that has not ended; ``all``:
                the current run of each that is held; ``none``: only what is new.
        """
        if selector in session.selectors:
            return
        found: Iterable[OperationRecord] = ()
        if replay != "none":
            found = self._newly_selected(selector, session, finished=replay == "all")
        self.index.add_selector(session, selector)
        for record in found:
            history = record.history
            if replay == "all":
                session.read(record, ReplayCursor(history.run_start_seq - 1))
            else:
                session.read(record, ReplayCursor(history.newest, send_latest=True))

    def _newly_selected(
        self, selector: Selector, session: Session, *, finished: bool
    ) -> list[OperationRecord]:
        """What a selector matches and the session does not watch yet, oldest first."""
        return [
            record
            for record in self._store.oldest_first(finished=finished)
            if selector.matches(record.operation)
            and record.operation_id not in session.subscribed
            and not selects(session, record)
        ]

    def unselect(self, session: Session, selector: Selector) -> None:
        """End the subscription to what a selector matches, as far as there is no other one."""
        if self.index.remove_selector(session, selector):
            unread = session.reading() - session.subscribed
            session.discard({one for one in unread if not self._is_selected(session, one)})

    def unsubscribe(self, session: Session, operation_id: str) -> None:
        """End the subscription to an id; nothing happens where there is none."""
        self.index.remove(session, operation_id)
        session.clear_max_rate(operation_id)
        if not self._is_selected(session, operation_id):
            session.discard({operation_id})

    def _is_selected(self, session: Session, operation_id: str) -> bool:
        return bool(session.selectors) and selects(session, self._store.get(operation_id))

    def disconnect(self, session: Session) -> None:
        """Forget a session whose connection is gone."""
        session.clear()
        for selector in list(session.selectors):
            self.index.remove_selector(session, selector)
        for operation_id in list(session.subscribed):
            self.index.remove(session, operation_id)


def _start_cursor(
    history: History, position: LogPosition | None, replay: str | None
) -> ReplayCursor:
    """Where a subscription begins to read.

    Behind the last event that the client saw, where its position is known; else where the current
    run begins, or now.
    """
    if position is None:
        from_now = replay in {"none", "last"}
        seq = history.newest if from_now else history.run_start_seq - 1
        return ReplayCursor(seq, send_latest=replay == "last")
    cursor = ReplayCursor(history.cursor_at(position))
    if history.position is not None and position > history.position:
        # This sidecar has not read as far as the one that the client comes from.
        cursor.skip_until = position
    return cursor


def _id_of_unknown_epoch(event_id: str | None, position: LogPosition | None) -> str | None:
    """An event id that is worth keeping until its epoch is known."""
    return event_id if position is None and len(event_id or "") <= MAX_EVENT_ID_LENGTH else None
