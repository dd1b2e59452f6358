"""The index from operations to the sessions that are subscribed to them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from celery_wsprogress.hub.session import Session
    from celery_wsprogress.hub.store import OperationRecord
    from celery_wsprogress.operations.selector import Selector

K = TypeVar("K")


class SubscriptionIndex:
    """The index from ids and selectors to sessions, in the order in which they subscribed."""

    def __init__(self) -> None:
        self._by_id: dict[str, dict[Session, None]] = {}
        self._by_selector: dict[Selector, dict[Session, None]] = {}
        self._version = 0
        """Number of changes of the set of selectors."""

    def __len__(self) -> int:
        return sum(map(len, self._by_id.values())) + sum(map(len, self._by_selector.values()))

    def add(self, session: Session, operation_id: str) -> None:
        """Subscribe a session to an id."""
        session.subscribed.add(operation_id)
        self._by_id.setdefault(operation_id, {})[session] = None

    def remove(self, session: Session, operation_id: str) -> None:
        """End a subscription to an id, if there is one."""
        session.subscribed.discard(operation_id)
        _remove(self._by_id, operation_id, session)

    def add_selector(self, session: Session, selector: Selector) -> None:
        """Subscribe a session to all operations that a selector matches."""
        session.selectors.add(selector)
        if selector not in self._by_selector:
            self._version += 1
        self._by_selector.setdefault(selector, {})[session] = None

    def remove_selector(self, session: Session, selector: Selector) -> bool:
        """End a subscription by a selector. Return whether there was one."""
        session.selectors.discard(selector)
        found = _remove(self._by_selector, selector, session)
        if selector not in self._by_selector:
            self._version += 1
        return found

    def of(self, record: OperationRecord) -> tuple[Session, ...]:
        """Return the sessions that are subscribed to an operation, each once."""
        by_id = self._by_id.get(record.operation_id)
        if not self._by_selector:
            return tuple(by_id or ())
        found = dict(by_id or {})
        for selector in self._selected_by(record):
            found |= self._by_selector[selector]
        return tuple(found)

    def _selected_by(self, record: OperationRecord) -> tuple[Selector, ...]:
        # Selectors are matched again only if their set or the fields of the operation changed.
        if record.selector_version != self._version:
            record.selector_version = self._version
            record.selected_by = tuple(
                one for one in self._by_selector if one.matches(record.operation)
            )
        return record.selected_by

    def by_id(self) -> set[Session]:
        """Return the sessions that are subscribed to any id."""
        return set().union(*self._by_id.values())


def selects(session: Session, record: OperationRecord | None) -> bool:
    """Return whether a session is subscribed to an operation by a selector."""
    return record is not None and any(one.matches(record.operation) for one in session.selectors)


def _remove(index: dict[K, dict[Session, None]], key: K, session: Session) -> bool:
    sessions = index.get(key)
    if sessions is None or session not in sessions:
        return False
    del sessions[session]
    if not sessions:
        del index[key]
    return True
