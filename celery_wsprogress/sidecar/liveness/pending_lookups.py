"""The lookups in the result backend that wait for their turn.

Lookups of silent runs come first, since an end is concluded from them for everybody; then those of
runs that wait; then what clients ask about operations that nobody has heard of. Clients take turns,
so that one of them cannot delay another by the number of its questions. What finds no room is not
asked, and nothing is concluded from it.

Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import IntEnum
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from typing import Any

Answer: TypeAlias = "Callable[[Any], None]"
"""Called with the result of a lookup."""

MAX_WAITING: Final = 10_000
"""Lookups of one urgency that wait, but for those of clients."""

MAX_LOOKUPS: Final = 1_000
"""Default of the lookups of all clients that wait."""

MAX_CLIENT_LOOKUPS: Final = 100
"""Default of the lookups of one client that wait."""


class Urgency(IntEnum):
    """How urgent a lookup is; the most urgent is made first."""

    SILENT = 0
    """A run that is lost if the backend does not know its end."""
    WAITING = 1
    """A run that waits, as a rule."""
    CLIENT = 2
    """An operation that is not held, which a client has subscribed to."""


class PendingLookups:
    """The lookups that wait. An id is looked up once for all who wait for it.

    Args:
        max_lookups: Lookups of all clients that wait at the most.
        max_client_lookups: Lookups of one client that wait at the most.
    """

    def __init__(
        self, max_lookups: int = MAX_LOOKUPS, max_client_lookups: int = MAX_CLIENT_LOOKUPS
    ) -> None:
        self.refused = 0
        """Lookups of clients that were not made, for want of room."""
        self._max_lookups = max_lookups
        self._max_client_lookups = max_client_lookups
        self._own: tuple[OrderedDict[str, Answer], ...] = (OrderedDict(), OrderedDict())
        """By urgency: the callbacks of the sidecar's own lookups, by task id."""
        self._answers: dict[str, Answer] = {}
        """The callbacks of the lookups of clients, by task id."""
        self._clients: OrderedDict[Hashable, dict[str, None]] = OrderedDict()
        """The task ids that each client waits for; the client whose turn it is comes first."""
        self._asked_by: dict[str, dict[Hashable, None]] = {}
        """The clients that wait for a task id."""
        self._count = 0
        """Length of all values of :attr:`_clients`."""

    def __bool__(self) -> bool:
        return bool(self._own[0] or self._own[1] or self._clients)

    def add(self, task_id: str, answer: Answer, urgency: Urgency) -> bool:
        """Add a lookup of the sidecar's own. Nothing happens if it waits already.

        Returns:
            Whether there was room for it.
        """
        waiting = self._own[urgency]
        if task_id not in waiting and len(waiting) >= MAX_WAITING:
            return False
        waiting.setdefault(task_id, answer)
        return True

    def add_for_client(self, client: Hashable, task_id: str, answer: Answer) -> bool:
        """Add a lookup of a client.

        If the queue is full, the client that has most in it gives a place to one that has less.

        Returns:
            Whether there was room for it.
        """
        own = self._clients.get(client, {})
        if task_id in own:
            return True
        full = self._count >= self._max_lookups
        if len(own) >= self._max_client_lookups or (full and not self._make_room(len(own))):
            self.refused += 1
            return False
        self._clients.setdefault(client, {})[task_id] = None
        self._asked_by.setdefault(task_id, {})[client] = None
        self._answers[task_id] = answer
        self._count += 1
        return True

    def _make_room(self, count: int) -> bool:
        """Drop the newest lookup of the client with most of them, if it has 2 more than ``count``.

        With one more, two clients would take the place from each other for ever.
        """
        client, longest = max(self._clients.items(), key=lambda item: len(item[1]))
        if len(longest) < count + 2:
            return False
        self.refused += 1
        self._remove(client, next(reversed(longest)))
        return True

    def _remove(self, client: Hashable, task_id: str) -> None:
        waiting, askers = self._clients[client], self._asked_by[task_id]
        del waiting[task_id], askers[client]
        self._count -= 1
        if not waiting:
            del self._clients[client]
        if not askers:
            del self._asked_by[task_id], self._answers[task_id]

    def forget(self, client: Hashable) -> None:
        """Drop the lookups that only this client waits for: its connection has ended."""
        for task_id in list(self._clients.get(client, ())):
            self._remove(client, task_id)

    def pop(self) -> tuple[str, list[Answer]] | None:
        """Take the next lookup: its task id, and the callbacks of all who wait for it."""
        task_id = self._next()
        if task_id is None:
            return None
        answers = [own.pop(task_id) for own in self._own if task_id in own]
        if task_id in self._answers:
            answers.append(self._answers[task_id])
            for client in list(self._asked_by[task_id]):
                self._remove(client, task_id)
        return task_id, answers

    def _next(self) -> str | None:
        for own in self._own:
            if own:
                return next(iter(own))
        if not self._clients:
            return None
        client, waiting = next(iter(self._clients.items()))
        self._clients.move_to_end(client)
        return next(iter(waiting))
