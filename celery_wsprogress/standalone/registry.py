"""The operations of this process that are going on, by their ids.

Ids are known in the process that made them only: a child begins with none.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Final

from celery_wsprogress import fork
from celery_wsprogress.protocol import jsonable
from celery_wsprogress.worker import context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery_wsprogress.standalone.handle import OperationHandle
    from celery_wsprogress.worker.publishing.heartbeats import ActiveRun
    from celery_wsprogress.worker.tracker import Tracker

logger = logging.getLogger(__name__)

MAX_OPEN: Final = 100_000
"""Operations whose ids are known. Then the oldest is forgotten: who never ends what he begins
must not fill the memory."""

MAX_HEARTBEAT_RUNS: Final = 10_000
"""Operations that this process vouches for, the newest: their names must not fill the log either.
An older one lives as long as it says something itself."""


MAX_ENDED: Final = 1_000
"""Operations that have ended, the newest, of which it is still known how: as many as a server holds
by default."""


class OperationRegistry:
    """Ids and what they stand for. Any thread may use it."""

    def __init__(self) -> None:
        # Re-entrant, as the publisher's.
        self._lock = threading.RLock()
        self._open: OrderedDict[str, OperationHandle] = OrderedDict()
        self._ended: OrderedDict[str, OperationHandle] = OrderedDict()
        self._evicted = 0
        self._unknown_ids = 0

    def add(self, life: OperationHandle) -> None:
        """Know an operation by its id."""
        fork.notice()
        with self._lock:
            self._open[life.operation_id] = life
            self._open.move_to_end(life.operation_id)
            self._ended.pop(life.operation_id, None)
            if len(self._open) > MAX_OPEN:
                self._evict_oldest()

    def _evict_oldest(self) -> None:
        self._open.popitem(last=False)
        self._evicted += 1
        if self._evicted == 1:
            logger.warning(
                "%d operations of this process have not ended; the oldest are forgotten. "
                "End each with emit_result() or emit_error(), or write `with operation(...)`",
                MAX_OPEN,
            )

    def remove(self, life: OperationHandle) -> None:
        """Take an operation for over; another one that took over its id stays."""
        fork.notice()
        with self._lock:
            if self._open.get(life.operation_id) is life:
                del self._open[life.operation_id]
                self._ended[life.operation_id] = life
                while len(self._ended) > MAX_ENDED:
                    self._ended.popitem(last=False)

    def look_up(self, operation_id: object) -> OperationHandle | None:
        """The operation, if it was begun here, and it is known how it stands or ended."""
        fork.notice()
        with self._lock:
            name = jsonable.to_text(operation_id)
            return self._open.get(name) or self._ended.get(name)

    def open_operations(self, most: int) -> list[OperationHandle]:
        """Those that go on, the newest first."""
        fork.notice()
        with self._lock:
            return list(islice(reversed(self._open.values()), most))

    def find(self, operation_id: object) -> OperationHandle | None:
        """The operation, if it goes on here. Whoever asks for another one is counted."""
        fork.notice()
        with self._lock:
            life = self._open.get(jsonable.to_text(operation_id))
            if life is None:
                self._unknown_ids += 1
            return life

    def find_tracker(self, operation_id: object) -> Tracker | None:
        """As :meth:`find`, also for a Celery task that runs in this process."""
        name = jsonable.to_text(operation_id)
        tracker = context.find_tracker(name) or context.active_trackers_of(name)
        if tracker is not None and not tracker.ended:
            return tracker
        life = self.find(name)
        return life.tracker if life else None

    def active_run(self) -> Sequence[ActiveRun] | None:
        """The operations that go on; a :data:`.ActiveRunSource`."""
        return [life.active_run for life in self.open_operations(MAX_HEARTBEAT_RUNS)] or None

    def stats(self) -> dict[str, int]:
        """Figures of this process."""
        fork.notice()
        return {"own_operations": len(self._open), "ignored_emits": self._unknown_ids}


_registry = OperationRegistry()


fork.register(_registry.__init__)  # type: ignore[misc]

add = _registry.add
remove = _registry.remove
look_up = _registry.look_up
open_operations = _registry.open_operations
find = _registry.find
find_tracker = _registry.find_tracker
active_run = _registry.active_run
stats = _registry.stats
