"""The state with which a client resumes its subscriptions on a new connection.

It holds the subscribed ids, the last event that was seen of each operation, and the ids of recent
events. :class:`.Client` makes the commands of a new connection from it
(:meth:`ResumeState.resume`) and drops events that come twice (:meth:`ResumeState.is_new`).

A sidecar repeats nothing before the ``since`` of a subscription. Events do come twice without a
``since``: after ``*`` with more operations than are remembered, and across epochs of the log.

Pure.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

EVERYTHING: Final = "*"

ENDS: Final = frozenset({"completed", "error"})
"""The types of the events that end an operation."""

MAX_SEEN: Final = 100_000
"""Event ids that are remembered: about 15 MB."""

MAX_KNOWN: Final = 1_000
"""Operations that came with ``*`` of which the last event is remembered."""

MAX_IDS_LENGTH: Final = 32_000
"""Characters that the ids of one command may take."""


@dataclass(slots=True)
class OperationProgress:
    """The newest event of one operation that a client has seen."""

    last_event_id: str = ""
    ended: bool = False


class ResumeState:
    """The subscriptions of one client, and what it has seen."""

    def __init__(self) -> None:
        self.subscribed: dict[str, None] = {}
        """Ids, perhaps with ``*``, in the order of their subscription. The values are unused."""
        self.selectors: list[dict[str, str]] = []
        """The fields of further subscriptions, each to operations of one kind."""
        self._progress: OrderedDict[str, OperationProgress] = OrderedDict()
        self._seen: OrderedDict[str, int] = OrderedDict()
        """Event ids, each with the number of the watch in which it was seen, or 0."""
        self._watches: dict[str, int] = {}
        self._numbers = count(1)

    def add(self, ids: Iterable[str]) -> None:
        """Add subscriptions."""
        self.subscribed.update(dict.fromkeys(ids))

    def remove(self, ids: Iterable[str]) -> None:
        """Remove subscriptions."""
        for one in ids:
            self.subscribed.pop(one, None)
            self._progress.pop(one, None)
            self._watches.pop(one, None)

    def add_watch(self, operation_id: str) -> None:
        """Add a subscription that begins anew: what was seen of the operation is new again."""
        self.add([operation_id])
        self._progress.pop(operation_id, None)
        self._watches[operation_id] = next(self._numbers)

    def is_new(self, event: Mapping[str, Any]) -> bool:
        """Record an event; return False if it was seen before."""
        event_id = event.get("event_id")
        if not isinstance(event_id, str) or not event_id:
            return True
        operation_id = str(event.get("operation_id"))
        watch = self._watches.get(operation_id, 0)
        if self._seen.get(event_id) == watch:
            return False
        self._seen[event_id] = watch
        if len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)
        progress = self._entry(operation_id)
        progress.last_event_id = event_id
        progress.ended = event.get("event_type") in ENDS
        return True

    def _entry(self, operation_id: str) -> OperationProgress:
        progress = self._progress.setdefault(operation_id, OperationProgress())
        if operation_id not in self.subscribed:
            self._progress.move_to_end(operation_id)
            self._evict()
        return progress

    def _evict(self) -> None:
        """Forget the operation with the oldest event, of those that came with ``*``."""
        if len(self._progress) > MAX_KNOWN + len(self.subscribed):
            oldest = next(one for one in self._progress if one not in self.subscribed)
            del self._progress[oldest]

    def resume(self) -> Iterator[dict[str, Any]]:
        """Give the commands to send on a new connection, in this order.

        With ``*`` or a selector, operations that have not ended are subscribed by id for a moment,
        because only ids take a ``since``. Of an operation that began meanwhile, the sidecar sends
        the present state; one that began and ended meanwhile is not shown.
        """
        yield from self._subscriptions(one for one in self.subscribed if one != EVERYTHING)
        selectors = [*self.selectors]
        if EVERYTHING in self.subscribed:
            selectors.append({"operation_id": EVERYTHING})
        if not selectors:
            return
        unsubscribed = [
            one
            for one, progress in self._progress.items()
            if one not in self.subscribed and not progress.ended
        ]
        yield from self._subscriptions(unsubscribed)
        for fields in selectors:
            yield {"command": "subscribe", **fields}
        for ids in chunks(unsubscribed):
            yield {"command": "unsubscribe", "operation_ids": ids}

    def _subscriptions(self, ids: Iterable[str]) -> Iterator[dict[str, Any]]:
        for some in chunks(ids):
            since = {
                one: self._progress[one].last_event_id for one in some if one in self._progress
            }
            command = {"command": "subscribe", "operation_ids": some}
            yield {**command, "since": since} if since else command


def chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    """Split the ids into lists of which each fits into a command, with a ``since`` for each id."""
    some: list[str] = []
    room = MAX_IDS_LENGTH
    for one in ids:
        # The id stands in the list and in `since`, there with an event id of some 40 characters.
        size = 2 * len(json.dumps(one)) + 100
        if some and size > room:
            yield some
            some, room = [], MAX_IDS_LENGTH
        some.append(one)
        room -= size
    if some:
        yield some
