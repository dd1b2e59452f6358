"""The requests that the worker's main process has received, by task id, while they exist.

Some signals of an end come without their request, and Celery's own list has dropped it by then. A
request exists as long as it can still end, so only weak references are kept.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MIN_SWEEP_SIZE: Final = 200
"""Entries beyond which those of collected requests are removed."""


class ReceivedRequests:
    """Requests by task id, while they exist."""

    def __init__(self) -> None:
        # Not a WeakValueDictionary, whose callback for each collected request costs too much.
        self._by_id: dict[str, weakref.ref[Any]] = {}
        self._most = MIN_SWEEP_SIZE

    def add(self, request: Any) -> None:
        """Remember a request. Called by one thread, the one that receives them."""
        self._by_id[request.id] = weakref.ref(request)
        if len(self._by_id) > self._most:
            self._forget()

    def get(self, task_id: Any) -> Any:
        """The request, where it still lives; else None."""
        found = self._by_id.get(task_id)
        return None if found is None else found()

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the requests that still exist."""
        return (one for known in list(self._by_id.values()) if (one := known()) is not None)

    def __bool__(self) -> bool:
        return any(known() is not None for known in list(self._by_id.values()))

    def _forget(self) -> None:
        for task_id, known in list(self._by_id.items()):
            if known() is None:
                del self._by_id[task_id]
        # So that each is looked at twice, in the mean, however many live.
        self._most = max(MIN_SWEEP_SIZE, 2 * len(self._by_id))


known: Final = ReceivedRequests()
"""The requests of this process."""
