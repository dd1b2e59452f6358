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


MAX_OVER: Final = 1_000
"""Operations that have ended, the newest, of which it is still known how: as many as a server holds
by default."""


class OperationRegistry:
    """Ids and what they stand for. Any thread may use it."""

    def __init__(self) -> None:
        # Re-entrant, as the publisher's.
        self._lock = threading.RLock()
        self._live: OrderedDict[str, OperationHandle] = OrderedDict()
        self._over: OrderedDict[str, OperationHandle] = OrderedDict()
        self._forgotten = 0
        self._ignored = 0

    def add(self, life: OperationHandle) -> None:
        """Know an operation by its id."""
        fork.notice()
        with self._lock:
            self._live[life.operation_id] = life
            self._live.move_to_end(life.operation_id)
            self._over.pop(life.operation_id, None)
            if len(self._live) > MAX_OPEN:
                self._forget_oldest()

    def _forget_oldest(self) -> None:
        self._live.popitem(last=False)
        self._forgotten += 1
        if self._forgotten == 1:
            logger.warning(
                "%d operations of this process have not ended; the oldest are forgotten. "
                "End each with emit_result() or emit_error(), or write `with operation(...)`",
                MAX_OPEN,
            )

    def remove(self, life: OperationHandle) -> None:
        """Take an operation for over; another one that took over its id stays."""
        fork.notice()
        with self._lock:
            if self._live.get(life.operation_id) is life:
                del self._live[life.operation_id]
                self._over[life.operation_id] = life
                while len(self._over) > MAX_OVER:
                    self._over.popitem(last=False)

    def look_up(self, operation_id: object) -> OperationHandle | None:
        """The operation, if it was begun here, and it is known how it stands or ended."""
        fork.notice()
        with self._lock:
            name = jsonable.to_text(operation_id)
            return self._live.get(name) or self._over.get(name)

    def live(self, most: int) -> list[OperationHandle]:
        """Those that go on, the newest first."""
        fork.notice()
        with self._lock:
            return list(islice(reversed(self._live.values()), most))

    def find(self, operation_id: object) -> OperationHandle | None:
        """The operation, if it goes on here. Whoever asks for another one is counted."""
        fork.notice()
        with self._lock:
            life = self._live.get(jsonable.to_text(operation_id))
            if life is None:
                self._ignored += 1
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
        return [life.active_run for life in self.live(MAX_HEARTBEAT_RUNS)] or None

    def stats(self) -> dict[str, int]:
        """Figures of this process."""
        fork.notice()
        return {"own_operations": len(self._live), "ignored_emits": self._ignored}


_register = OperationRegistry()


fork.register(_register.__init__)  # type: ignore[misc]

add = _register.add
remove = _register.remove
look_up = _register.look_up
live = _register.live
find = _register.find
find_tracker = _register.find_tracker
active_run = _register.active_run
stats = _register.stats
