"""The operations that this process has started, by their ids.

:func:`start` adds one. :mod:`.manager` and :mod:`.callbacks` look them up; the publisher's thread
reads the open ones for its heartbeats. A forked child begins with an empty registry.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from itertools import islice
from typing import TYPE_CHECKING, Final

from msgspec import structs

from celery_wsprogress import fork
from celery_wsprogress.protocol import jsonable
from celery_wsprogress.standalone.handle import OperationHandle
from celery_wsprogress.standalone.process_publisher import process_publisher
from celery_wsprogress.worker import context
from celery_wsprogress.worker.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery_wsprogress.worker.publishing.heartbeats import ActiveRun
    from celery_wsprogress.worker.run_info import RunInfo

logger = logging.getLogger(__name__)

MAX_OPEN: Final = 100_000
"""Most open operations. The oldest beyond them is evicted, so that a program which never ends its
operations does not fill the memory."""

MAX_HEARTBEAT_RUNS: Final = 10_000
"""Most operations in the heartbeats of this process, the newest: their ids take room in the log. An
older one is kept alive by its own events only."""

MAX_ENDED: Final = 1_000
"""Most ended operations whose end can still be read: as many as a server holds by default."""


class OperationRegistry:
    """Maps ids to open and ended operations. Any thread may use it."""

    def __init__(self) -> None:
        # Re-entrant: a signal handler or destructor may start an operation inside of it.
        self._lock = threading.RLock()
        self._open: OrderedDict[str, OperationHandle] = OrderedDict()
        self._ended: OrderedDict[str, OperationHandle] = OrderedDict()
        self._evicted = 0
        self._unknown_ids = 0

    def add(self, handle: OperationHandle) -> None:
        """Add an open operation; one with the same id is replaced."""
        fork.notice()
        with self._lock:
            self._open[handle.operation_id] = handle
            self._open.move_to_end(handle.operation_id)
            self._ended.pop(handle.operation_id, None)
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

    def remove(self, handle: OperationHandle) -> None:
        """Move an operation to the ended ones; another one under the same id stays open."""
        fork.notice()
        with self._lock:
            if self._open.get(handle.operation_id) is handle:
                del self._open[handle.operation_id]
                self._ended[handle.operation_id] = handle
                while len(self._ended) > MAX_ENDED:
                    self._ended.popitem(last=False)

    def look_up(self, operation_id: object) -> OperationHandle | None:
        """Return the operation of an id, open or ended; None where it is not known here."""
        fork.notice()
        with self._lock:
            name = jsonable.to_text(operation_id)
            return self._open.get(name) or self._ended.get(name)

    def open_operations(self, limit: int) -> list[OperationHandle]:
        """Return the open operations, the newest first."""
        fork.notice()
        with self._lock:
            return list(islice(reversed(self._open.values()), limit))

    def find(self, operation_id: object) -> OperationHandle | None:
        """Return the open operation of an id. An id that is not open here is counted."""
        fork.notice()
        with self._lock:
            handle = self._open.get(jsonable.to_text(operation_id))
            if handle is None:
                self._unknown_ids += 1
            return handle

    def find_tracker(self, operation_id: object) -> Tracker | None:
        """Return the tracker of an open operation, or of a Celery task of this process."""
        name = jsonable.to_text(operation_id)
        tracker = context.find_tracker(name) or context.active_tracker(name)
        if tracker is not None and not tracker.ended:
            return tracker
        handle = self.find(name)
        return handle.tracker if handle else None

    def active_runs(self) -> Sequence[ActiveRun] | None:
        """Return the open operations as a :data:`.ActiveRunSource`; None where there are none."""
        return [handle.active_run for handle in self.open_operations(MAX_HEARTBEAT_RUNS)] or None

    def stats(self) -> dict[str, int]:
        """Return ``own_operations`` (open here) and ``ignored_emits`` (calls for unknown ids)."""
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
active_runs = _registry.active_runs
stats = _registry.stats


def start(run: RunInfo) -> OperationHandle:
    """Publish ``started``, and return the open operation."""
    publisher = process_publisher()
    parent = _enclosing_tracker()
    # An operation inside a task sends the texts of errors where that task does.
    streams = parent or publisher
    full = streams is None or streams.streams_errors
    redactor = None if streams is None else streams.redactor
    if redactor is not None:
        run = structs.replace(run, metadata=redactor.to_object(run.metadata))
    tracker = Tracker(run, publisher, parent, streams_errors=full, redactor=redactor)
    handle = OperationHandle(tracker, remove)
    add(handle)
    if publisher is not None:
        publisher.heartbeat_source = active_runs
        publisher.emit((handle.started_event(),))
    return handle


def _enclosing_tracker() -> Tracker | None:
    """Return the innermost open operation or task; a chain of ended ones would never be freed."""
    tracker = context.current_tracker.get()
    while tracker is not None and tracker.ended:
        tracker = tracker.parent
    return tracker
