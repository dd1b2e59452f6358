"""Begin and end subscriptions, and set the cursor from which each one is replayed.

A session may subscribe to an id of which no event was read: it is notified of the first one.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from celery_wsprogress.hub.cursor import ReplayCursor, SelectionCursor
from celery_wsprogress.hub.subscription_index import SubscriptionIndex
from celery_wsprogress.operations.selector import EVERYTHING
from celery_wsprogress.protocol.event_ids import parse_event_id
from celery_wsprogress.protocol.workflow_ids import workflow_operation_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from celery_wsprogress.hub.log_cursor import LogCursor
    from celery_wsprogress.hub.operation_record import OperationRecord
    from celery_wsprogress.hub.session import Session
    from celery_wsprogress.hub.steps import Steps
    from celery_wsprogress.hub.store import OperationStore
    from celery_wsprogress.operations.history import History
    from celery_wsprogress.operations.selector import Selector
    from celery_wsprogress.protocol.event_ids import LogPosition

T = TypeVar("T")

RECORDS_PER_STEP: Final = 500
"""Operations that one step looks at: a millisecond."""


class Subscriptions:
    """The subscriptions of all sessions.

    Args:
        store: The operations.
        log: The position in the log.
        on_unknown: Called when a session subscribes to an operation that is not held.
    """

    def __init__(
        self,
        store: OperationStore,
        log: LogCursor,
        on_unknown: Callable[[Session, str], None] | None = None,
    ) -> None:
        self.index = SubscriptionIndex()
        self.on_unknown = on_unknown
        self.on_disconnect: Callable[[Session], None] | None = None
        """Called with a session whose connection has ended."""
        self._store = store
        self._log = log

    def subscribe(
        self, session: Session, operation_id: str, *, replay: str | None, since: str | None
    ) -> bool:
        """Subscribe to an operation by its id. The replay is sent after the reply.

        Args:
            session: The session.
            operation_id: The id.
            replay: ``all``, ``last`` or ``none``; None for all events that were not sent yet.
            since: The ``event_id`` of the last event that the client saw, or None.

        Returns:
            With ``since``: whether exactly the missing events follow.
        """
        record = self._store.get(operation_id)
        again = operation_id in session.subscribed or self.index.selects(session, record)
        self.index.add(session, operation_id)
        # A client that subscribes once more must not get again what it was sent.
        if again and since is None and replay is None:
            return False
        position = self._log.position_of(since)
        if record is None:
            return self._expect(session, operation_id, position, since)
        history = record.history
        recovered = self._log.can_recover(position, history.dropped_position)
        cursor = _start_cursor(history, position, replay)
        cursor.unknown_since = _id_of_unknown_epoch(since, position)
        # With `skip_until` the client knows more than this sidecar: a snapshot would be older.
        if since is not None and not recovered and cursor.skip_until is None:
            cursor.needs_snapshot = cursor.missed_unknown = session.accepts_snapshots
        session.read(record, cursor)
        return recovered

    def _expect(
        self, session: Session, operation_id: str, position: LogPosition | None, since: str | None
    ) -> bool:
        """Subscribe to an operation that is not held."""
        if self.on_unknown is not None:
            self.on_unknown(session, operation_id)
        # If the operation was evicted, the session may still have a cursor for its unread entries.
        if since is not None:
            cursor = session.expect(operation_id)
            cursor.skip_until = position
            cursor.unknown_since = _id_of_unknown_epoch(since, position)
        return self._log.can_recover(position, self._store.evicted_up_to)

    def awaits_workflow(self, operation_id: str) -> bool:
        """Return whether a session is subscribed to the workflow of a task."""
        return self.index.is_watched(workflow_operation_id(operation_id))

    def start_epoch(self) -> None:
        """Have cursors whose epoch was unknown begin where their clients are, if it is read now."""
        for session in self.index.by_id():
            for cursor in session.cursors.values():
                seen = self._log.position_of(cursor.unknown_since)
                if seen is not None:
                    cursor.skip_until, cursor.unknown_since = cursor.skip_until or seen, None

    def select(self, session: Session, selector: Selector, *, replay: str) -> Steps[None]:
        """Subscribe to every operation that a selector matches, now or later.

        Args:
            session: The session.
            selector: The selector.
            replay: ``last``: the latest events of each operation that has not ended; ``all``: the
                current run of each operation; ``none``: new events only.
        """
        # A second replay would send the same events again.
        if selector in session.selectors:
            return
        if replay == "none":
            self.index.add_selector(session, selector)
            return
        last_serial = self._store.total
        selected = yield from self._selected_records(session)
        # From here on without a step: between the cursors and the subscription nothing may come.
        found = self._matching(selector, session, finished=replay == "all")
        if selected:
            found = [one for one in found if one not in selected]
        if session.selectors and self._store.total > last_serial:
            found = [one for one in found if not self._came_after(last_serial, session, one)]
        position = self._log.position
        if position is not None:
            session.read_all(found, SelectionCursor(position, whole_run=replay == "all"))
        self.index.add_selector(session, selector)

    def _came_after(self, serial: int, session: Session, record: OperationRecord) -> bool:
        """Return whether a record is newer, and was selected when it came."""
        return record.serial > serial and self.index.selects(session, record)

    def _selected_records(self, session: Session) -> Steps[set[OperationRecord]]:
        """Return the records that a session is already subscribed to by a selector."""
        selected: set[OperationRecord] = set()
        if session.selectors:
            records = self._store.oldest_first()
            for some in _chunks(records):
                selected.update(one for one in some if self.index.selects(session, one))
                yield
        return selected

    def _matching(
        self, selector: Selector, session: Session, *, finished: bool
    ) -> list[OperationRecord]:
        """Return the records that a selector matches, but not those watched by id."""
        # Without a call for each record where that is possible: there may be very many.
        records = self._store.oldest_first(finished=finished)
        if selector != EVERYTHING:
            matches = selector.matcher()
            records = [one for one in records if matches(one.operation)]
        if session.subscribed:
            records = [one for one in records if one.operation_id not in session.subscribed]
        return records

    def unselect(self, session: Session, selector: Selector) -> Steps[None]:
        """End a subscription by a selector."""
        if self.index.remove_selector(session, selector):
            # Other subscriptions of the session may match the same operations.
            ended: set[str] = set()
            for some in _chunks(list(session.reading())):
                ended.update(one for one in some if not self._is_subscribed(session, one))
                yield
            session.discard(ended)

    def unsubscribe(self, session: Session, operation_ids: Iterable[str]) -> None:
        """End the subscriptions to these ids, where there are any."""
        ended = session.subscribed.intersection(operation_ids)
        if not ended:
            return
        for operation_id in ended:
            self.index.remove(session, operation_id)
        session.clear_max_rates(ended)
        # A selector of the session may match them, too: then their unread entries are sent.
        session.discard({one for one in ended if not self._is_subscribed(session, one)})

    def _is_subscribed(self, session: Session, operation_id: str) -> bool:
        if operation_id in session.subscribed:
            return True
        return self.index.selects(session, self._store.get(operation_id))

    def disconnect(self, session: Session) -> None:
        """End all subscriptions of a session whose connection has ended."""
        if self.on_disconnect is not None:
            self.on_disconnect(session)
        session.clear()
        for selector in list(session.selectors):
            self.index.remove_selector(session, selector)
        for operation_id in list(session.subscribed):
            self.index.remove(session, operation_id)


def _chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Divide items into parts that one step works on."""
    return (items[at : at + RECORDS_PER_STEP] for at in range(0, len(items), RECORDS_PER_STEP))


def _start_cursor(
    history: History, position: LogPosition | None, replay: str | None
) -> ReplayCursor:
    """Return the cursor of a new subscription.

    It is after the last event that the client saw, if the position of that is known; else before
    the current run, or at the newest entry.
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
    """Return the event id if it must be kept until its epoch is read; else None."""
    is_ours = event_id is not None and parse_event_id(event_id) is not None
    return event_id if position is None and is_ours else None
