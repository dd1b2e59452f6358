"""Pages of operations, newest first: for ``list_operations`` and ``/operations``. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.errors import CommandError
from celery_wsprogress.hub.disclosure import shown_snapshot
from celery_wsprogress.operations.selector import FILTERS, Selector, validate_glob
from celery_wsprogress.operations.states import State
from celery_wsprogress.protocol.messages import MAX_FRAME_BYTES, cut, encode_frame
from celery_wsprogress.protocol.whole_numbers import parse_whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery_wsprogress.access.permissions import Permit
    from celery_wsprogress.hub.operation_record import OperationRecord
    from celery_wsprogress.hub.steps import Steps
    from celery_wsprogress.hub.store import OperationStore
    from celery_wsprogress.operations.operation import Operation

MAX_LISTED: Final = 1_000
"""Maximum number of operations or events in one reply."""

MAX_PAGE_BYTES: Final = MAX_FRAME_BYTES - 100_000
"""Maximum bytes of operations or events in one reply."""


MAX_RECORDS_PER_STEP: Final = 500
"""Records that one step looks at: half a millisecond."""

MAX_ADDED_PER_STEP: Final = 50
"""Operations that one step adds to the page, each encoded: a millisecond."""


def list_operations(
    store: OperationStore, fields: Mapping[str, Any], permit: Permit, timestamp: float
) -> Steps[dict[str, Any]]:
    """Make one page of the operations that match all filters, in steps.

    Args:
        store: The operations.
        fields: ``state``, the fields of selectors, ``limit`` and ``cursor``, as JSON values; each
            may be left out or null.
        permit: What the client may see of each.
        timestamp: Epoch seconds now.

    Returns:
        ``operations``, as snapshots, and ``next``: the ``cursor`` of the next page, or None.

    Raises:
        CommandError: a field has a value that is not allowed.
    """
    matches = _filter(fields)
    before = _parse_cursor(fields.get("cursor"))
    page = _Page(parse_limit(fields.get("limit")))
    while records := store.newest_first(before, MAX_RECORDS_PER_STEP):
        for record in records:
            before = record.serial
            if not matches(record.operation):
                continue
            if not page.add(record, shown_snapshot(record, permit, timestamp)):
                return page.reply(more=True)
            if len(page.operations) % MAX_ADDED_PER_STEP == 0:
                yield
        yield
    return page.reply(more=False)


def _filter(fields: Mapping[str, Any]) -> Callable[[Operation], bool]:
    state = _parse_state(fields.get("state"))
    matchers = [selector.matcher() for selector in parse_filters(fields)]

    def matches(operation: Operation) -> bool:
        if state is not None and operation.state != state:
            return False
        return all(matcher(operation) for matcher in matchers)

    return matches


def parse_filters(fields: Mapping[str, Any]) -> list[Selector]:
    """Return the selectors among the fields of a list.

    Raises:
        CommandError: one has a value that is not allowed.
    """
    return [
        Selector(by, value)
        for by in FILTERS
        if (value := _parse_text(by, fields.get(by))) is not None
    ]


class _Page:
    """The operations of one reply, bounded in number and bytes."""

    def __init__(self, limit: int) -> None:
        self.operations: list[dict[str, Any]] = []
        self._limit = limit
        self._room = MAX_PAGE_BYTES
        self._last_serial = 0

    def add(self, record: OperationRecord, snapshot: dict[str, Any]) -> bool:
        """Add an operation; return False if the page is full."""
        if len(self.operations) == self._limit:
            return False
        size = len(encode_frame(snapshot))
        self._room -= size
        if self._room < 0 and self.operations:
            return False
        self.operations.append(cut(snapshot, size) if size > MAX_PAGE_BYTES else snapshot)
        self._last_serial = record.serial
        return True

    def reply(self, *, more: bool) -> dict[str, Any]:
        """Return the fields of the reply."""
        return {"operations": self.operations, "next": str(self._last_serial) if more else None}


def parse_limit(value: object) -> int:
    """Return the field ``limit`` of a command; :data:`MAX_LISTED` if it is null.

    Raises:
        CommandError: it is not a number from 1 to :data:`MAX_LISTED`.
    """
    if value is None:
        return MAX_LISTED
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_LISTED:
        raise CommandError("invalid_command", f"`limit` must be a number from 1 to {MAX_LISTED}")
    return value


def _parse_state(value: object) -> State | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in tuple(State):
        raise CommandError("invalid_command", f"`state` must be one of: {', '.join(State)}")
    return State(value)


def _parse_text(name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise CommandError("invalid_command", f"`{name}` must be a string that is not empty")
    validate_glob(value)
    return value


def _parse_cursor(cursor: object) -> int | None:
    if cursor is None:
        return None
    number = parse_whole_number(cursor) if isinstance(cursor, str) else None
    if number is None:
        raise CommandError("invalid_command", "`cursor` must be the `next` of a reply")
    return number
