"""What a client remembers, so that a lost connection costs it nothing.

Which operations it subscribed to, the last event it saw of each, and the ids of the events it
saw lately. :meth:`ResumeState.resume` makes the commands of the next connection out of that;
:meth:`ResumeState.accept` keeps what comes a second time from being shown a second time.

A sidecar repeats nothing that stands before the ``since`` of a subscription. What came with ``*``
has none where so many operations are watched that some were forgotten, and there is none across
the epochs of a log.

Pure.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

EVERYTHING: Final = "*"

MAX_SEEN: Final = 100_000
"""Event ids that are remembered, about 15 MB of them."""

MAX_KNOWN: Final = 1_000
"""Operations nobody subscribed to by id (there is ``*``) of which the last event is known."""

_ROOM: Final = 32_000
"""Characters a list of ids may take in a command."""


@dataclass(slots=True)
class OperationProgress:
    """Where a client is with one operation."""

    last_event_id: str = ""
    ended: bool = False


class ResumeState:
    """What one client has subscribed to and seen."""

    def __init__(self) -> None:
        self.subscribed: dict[str, None] = {}
        """Ids, and perhaps ``*``, in the order in which they were asked for."""
        self._known: OrderedDict[str, OperationProgress] = OrderedDict()
        self._seen: OrderedDict[str, None] = OrderedDict()

    def add(self, ids: Iterable[str]) -> None:
        """Remember that these are watched."""
        self.subscribed.update(dict.fromkeys(ids))

    def remove(self, ids: Iterable[str]) -> None:
        """Forget that these were watched."""
        for one in ids:
            self.subscribed.pop(one, None)
            self._known.pop(one, None)

    def accept(self, event: Mapping[str, Any]) -> bool:
        """Take an event; False when it is known already."""
        event_id = event.get("event_id")
        if not isinstance(event_id, str) or not event_id:
            return True
        if event_id in self._seen:
            return False
        self._seen[event_id] = None
        if len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)
        known = self._entry(str(event.get("operation_id")))
        known.last_event_id = event_id
        known.ended = event.get("event_type") in {"completed", "error"}
        return True

    def _entry(self, operation_id: str) -> OperationProgress:
        known = self._known.setdefault(operation_id, OperationProgress())
        if operation_id not in self.subscribed:
            self._known.move_to_end(operation_id)
            self._evict()
        return known

    def _evict(self) -> None:
        """Forget the operation that was silent longest, of those that came with ``*``."""
        if len(self._known) > MAX_KNOWN + len(self.subscribed):
            oldest = next(one for one in self._known if one not in self.subscribed)
            del self._known[oldest]

    def resume(self) -> Iterator[dict[str, Any]]:
        """The commands of a new connection, in their order.

        What came with ``*`` and has not ended is subscribed by id for a moment: ``since`` is
        known for ids only. An operation that began meanwhile is shown as it stands, and one
        that ended meanwhile as well is not shown.
        """
        yield from self._subscriptions(one for one in self.subscribed if one != EVERYTHING)
        if EVERYTHING not in self.subscribed:
            return
        passing = [
            one
            for one, known in self._known.items()
            if one not in self.subscribed and not known.ended
        ]
        yield from self._subscriptions(passing)
        yield {"command": "subscribe", "operation_id": EVERYTHING}
        for ids in chunks(passing):
            yield {"command": "unsubscribe", "operation_ids": ids}

    def _subscriptions(self, ids: Iterable[str]) -> Iterator[dict[str, Any]]:
        for some in chunks(ids):
            since = {one: self._known[one].last_event_id for one in some if one in self._known}
            command = {"command": "subscribe", "operation_ids": some}
            yield {**command, "since": since} if since else command


def chunks(ids: Iterable[str]) -> Iterator[list[str]]:
    """The ids in lists that fit into a command, with a ``since`` for each."""
    some: list[str] = []
    room = _ROOM
    for one in ids:
        # Twice the id, and an event id of ordinary length.
        size = 2 * len(json.dumps(one)) + 100
        if some and size > room:
            yield some
            some, room = [], _ROOM
        some.append(one)
        room -= size
    if some:
        yield some
