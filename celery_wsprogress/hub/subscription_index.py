"""The index from operations to the sessions that are subscribed to them.

An id, a tag, a group and a root are looked up. Globs are matched once with each type of operation,
not with each operation: so hundreds of them cost nothing when an operation is new.

Pure.
"""

from __future__ import annotations

from sys import getsizeof
from typing import TYPE_CHECKING, Final, TypeVar

from celery_wsprogress.operations.selector import exact_selectors
from celery_wsprogress.protocol.globs import glob_matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from celery_wsprogress.hub.operation_record import OperationRecord
    from celery_wsprogress.hub.session import Session
    from celery_wsprogress.operations.operation import Operation
    from celery_wsprogress.operations.selector import Selector

MAX_KNOWN_TYPES: Final = 1_000
"""Number of types of operations whose globs are remembered."""

K = TypeVar("K")


class SubscriptionIndex:
    """The index from ids and selectors to sessions, in the order in which they subscribed."""

    def __init__(self) -> None:
        self._by_id: dict[str, dict[Session, None]] = {}
        self._by_selector: dict[Selector, dict[Session, None]] = {}
        self._globs = GlobIndex()
        self._version = 0
        """Number of changes of the set of selectors."""

    def __len__(self) -> int:
        return sum(map(len, self._by_id.values())) + sum(map(len, self._by_selector.values()))

    def add(self, session: Session, operation_id: str) -> None:
        """Subscribe a session to an id."""
        if operation_id not in session.subscribed:
            session.subscribed.add(operation_id)
            session.subscribed_bytes += getsizeof(operation_id)
        self._by_id.setdefault(operation_id, {})[session] = None

    def remove(self, session: Session, operation_id: str) -> None:
        """End a subscription to an id, if there is one."""
        if operation_id in session.subscribed:
            session.subscribed.discard(operation_id)
            session.subscribed_bytes -= getsizeof(operation_id)
        _remove(self._by_id, operation_id, session)

    def add_selector(self, session: Session, selector: Selector) -> None:
        """Subscribe a session to all operations that a selector matches."""
        session.selectors.add(selector)
        if selector not in self._by_selector:
            self._version += 1
            if selector.is_glob:
                self._globs.add(selector)
        self._by_selector.setdefault(selector, {})[session] = None

    def remove_selector(self, session: Session, selector: Selector) -> bool:
        """End a subscription by a selector. Return whether there was one."""
        session.selectors.discard(selector)
        found = _remove(self._by_selector, selector, session)
        if found and selector not in self._by_selector:
            self._version += 1
            if selector.is_glob:
                self._globs.remove(selector)
        return found

    def of(self, record: OperationRecord) -> tuple[Session, ...]:
        """Return the sessions that are subscribed to an operation, each once."""
        by_id = self._by_id.get(record.operation_id)
        # Without selectors no record is matched: nearly all pages watch by id alone.
        if not self._by_selector:
            return tuple(by_id or ())
        found = dict(by_id or {})
        for selector in self._selected_by(record):
            found |= self._by_selector[selector]
        return tuple(found)

    def is_watched(self, operation_id: str) -> bool:
        """Return whether a session is subscribed to an id."""
        return operation_id in self._by_id

    def selects(self, session: Session, record: OperationRecord | None) -> bool:
        """Return whether a session is subscribed to an operation by a selector."""
        if record is None or not session.selectors:
            return False
        return not session.selectors.isdisjoint(self._selected_by(record))

    def _selected_by(self, record: OperationRecord) -> tuple[Selector, ...]:
        # Selectors are matched again only if their set or the fields of the operation changed.
        if record.selector_version != self._version:
            record.selector_version = self._version
            record.selected_by = tuple(self._matching(record.operation))
        return record.selected_by

    def _matching(self, operation: Operation) -> list[Selector]:
        exact = [one for one in exact_selectors(operation) if one in self._by_selector]
        return [*exact, *self._globs.matching(operation.operation_type)]

    def may_lack_rights(self, operation_id: str) -> bool:
        """Return whether a session is subscribed to an id that no token grants it by the id."""
        # Whether they have ended is another question, which is asked when they do.
        by_id = self._by_id.get(operation_id, ())
        return not all(session.permit.may_watch(operation_id, 0.0) for session in by_id)

    def by_id(self) -> set[Session]:
        """Return the sessions that are subscribed to any id."""
        return set().union(*self._by_id.values())


class GlobIndex:
    """The globs for types of operations, each matched once with each type."""

    def __init__(self) -> None:
        self._matchers: dict[Selector, Callable[[str], bool]] = {}
        self._by_type: dict[str, dict[Selector, None]] = {}
        """The globs that match a type, for types that were asked about."""

    def add(self, glob: Selector) -> None:
        """Add a glob."""
        matches = self._matchers[glob] = glob_matcher(glob.value)
        for name, matching in self._by_type.items():
            if matches(name):
                matching[glob] = None

    def remove(self, glob: Selector) -> None:
        """Remove a glob."""
        del self._matchers[glob]
        for matching in self._by_type.values():
            matching.pop(glob, None)

    def matching(self, operation_type: str) -> Iterable[Selector]:
        """Return the globs that match a type."""
        if not self._matchers:
            return ()
        found = self._by_type.get(operation_type)
        if found is None:
            # A worker may make up names without end. Which are still used is not known, and each
            # costs one match to find again.
            if len(self._by_type) >= MAX_KNOWN_TYPES:
                self._by_type.clear()
            matchers = self._matchers.items()
            found = {glob: None for glob, matches in matchers if matches(operation_type)}
            self._by_type[operation_type] = found
        return found


def _remove(index: dict[K, dict[Session, None]], key: K, session: Session) -> bool:
    sessions = index.get(key)
    if sessions is None or session not in sessions:
        return False
    del sessions[session]
    if not sessions:
        del index[key]
    return True
