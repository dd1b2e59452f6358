"""What stands in the history of an operation: its newest events, and its results. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery_wsprogress.operations.history_entry import Kind
from celery_wsprogress.protocol.batches import decode_event
from celery_wsprogress.protocol.events import Result
from celery_wsprogress.protocol.frames import payload_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery_wsprogress.operations.history import History
    from celery_wsprogress.operations.history_entry import Entry


def newest_events(history: History | None, limit: int, max_bytes: int) -> tuple[list[bytes], bool]:
    """Return the newest events of an operation, of all its runs, as JSON, oldest first.

    Args:
        history: The history of the operation; None if it is not held.
        limit: Maximum number of events.
        max_bytes: Maximum size of all events.

    Returns:
        The events, and whether none is missing before them (but replaced progress).
    """
    if history is None:
        return [], False
    texts = [payload_of(entry.frame) for entry in history.after(0)]
    first = len(texts)
    while first and len(texts) - first < limit and max_bytes >= len(texts[first - 1]):
        first -= 1
        max_bytes -= len(texts[first])
    return texts[first:], first == 0 and history.dropped_seq == 0


def results_of(history: History) -> Iterator[tuple[Entry, Result]]:
    """Yield the results of the current run, with their places in the history."""
    for entry in history.after(history.run_start_seq - 1):
        if entry.kind is Kind.OTHER:
            event = decode_event(payload_of(entry.frame))
            if isinstance(event, Result):
                yield entry, event
