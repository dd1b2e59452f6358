"""Pages of operations, newest first: for ``list_operations`` and ``/operations``. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.errors import CommandError
from celery_wsprogress.operations.selector import FILTERS, Selector, validate_glob
from celery_wsprogress.operations.states import State
from celery_wsprogress.protocol.messages import MAX_FRAME_BYTES, cut, encode_frame
from celery_wsprogress.protocol.whole_numbers import parse_whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from celery_wsprogress.hub.store import OperationRecord, OperationStore

MAX_LISTED: Final = 1_000
"""Maximum number of operations or events in one reply."""

MAX_PAGE_BYTES: Final = MAX_FRAME_BYTES - 100_000
"""Maximum bytes of operations or events in one reply."""


def list_operations(store: OperationStore, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return one page of the operations that match all filters.

    Args:
        store: The operations.
        fields: ``state``, the fields of selectors, ``limit`` and ``cursor``, as JSON values; each
            may be left out or null.

    Returns:
        ``operations``, as snapshots, and ``next``: the ``cursor`` of the next page, or None.

    Raises:
        CommandError: a field has a value that is not allowed.
    """
    state = _parse_state(fields.get("state"))
    selectors = parse_filters(fields)
    found = (
        record
        for record in store.newest_first(
            _parse_cursor(fields.get("cursor")), finished=state is None or state.ended
        )
        if (state is None or record.operation.state == state)
        and all(selector.matches(record.operation) for selector in selectors)
    )
    return _page(found, parse_limit(fields.get("limit")))


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


def _page(found: Iterable[OperationRecord], limit: int) -> dict[str, Any]:
    operations: list[dict[str, Any]] = []
    room = MAX_PAGE_BYTES
    last: OperationRecord | None = None
    for record in found:
        snapshot = record.snapshot()
        size = len(encode_frame(snapshot))
        room -= size
        if size > MAX_PAGE_BYTES:
            snapshot = cut(snapshot, size)
        if len(operations) == limit or (room < 0 and operations):
            return {"operations": operations, "next": str(last.serial) if last else None}
        operations.append(snapshot)
        last = record
    return {"operations": operations, "next": None}


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
