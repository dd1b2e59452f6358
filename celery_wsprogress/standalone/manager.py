"""``ws_manager``: start, report and read operations by their ids.

It uses :mod:`.registry` for the operations of this process, and the server that runs in this
process (:mod:`celery_wsprogress.running_server`) for all others.
"""

from __future__ import annotations

from itertools import islice
from operator import itemgetter
from typing import Any, Final

from celery_wsprogress import running_server
from celery_wsprogress.standalone import registry
from celery_wsprogress.standalone.handle import new_run
from celery_wsprogress.standalone.snapshots import handle_snapshot, is_newer

MAX_LISTED: Final = 1_000
"""Most snapshots that :meth:`OperationManager.get_active_operations` returns."""


class OperationManager:
    """Starts, reports and reads operations by their ids.

    .. code-block:: python

        operation_id = await ws_manager.create_operation("import", {"file": "a.csv"})
        await ws_manager.emit_progress(operation_id, 0.5, "Half of it")
        await ws_manager.emit_result(operation_id, {"rows": 1000})

    Prefer :func:`~celery_wsprogress.operation` in new code: its block always ends the operation.

    An id is known in the process that created it. A call for an unknown id, or after the
    operation's end, sends nothing and raises nothing; :meth:`get_stats` counts it. Inside a Celery
    task that publishes events, the id of the task can be used for progress, status and log; the
    task itself ends it. Beyond 100,000 open operations the oldest is evicted. When a process dies,
    a sidecar ends its operations as an ``error`` of the type ``OwnerLost``.

    The ``emit_…`` methods and ``create_operation`` only fill a queue in memory and never wait. The
    ``get_…`` methods know the operations of this process at once, and all others from the server
    in this process (``start_websocket_background``), for which they wait two seconds at most.
    """

    async def create_operation(self, operation_type: str, metadata: Any = None) -> str:
        """Start an operation, and publish ``started``.

        Args:
            operation_type: Cut to 500 bytes.
            metadata: A mapping; above 8,000 bytes a preview replaces it.

        Returns:
            Its id: a random UUID.
        """
        return registry.start(new_run(operation_type, metadata)).operation_id

    async def emit_progress(
        self, operation_id: str, progress: Any, message: Any = "", details: Any = None
    ) -> None:
        """Report progress.

        Args:
            operation_id: The operation.
            progress: 0.0 to 1.0; a value outside is clamped.
            message: A text for people, cut to 2,000 bytes.
            details: A mapping; above 8,000 bytes a preview replaces it.

        Raises:
            TypeError: ``progress`` is not a number.
        """
        tracker = registry.find_tracker(operation_id)
        if tracker is not None:
            tracker.update_progress(progress, message, details=details)

    async def emit_status(
        self, operation_id: str, status: Any, message: Any = "", details: Any = None
    ) -> None:
        """Report a status of your own; sizes as in :meth:`emit_progress`."""
        tracker = registry.find_tracker(operation_id)
        if tracker is not None:
            tracker.update_status(status, message, details)

    async def emit_log(self, operation_id: str, level: Any, message: Any) -> None:
        """Send a log line to the watchers; ``message`` is cut to 2,000 bytes."""
        tracker = registry.find_tracker(operation_id)
        if tracker is not None:
            tracker.log(level, message)

    async def emit_result(self, operation_id: str, result: Any) -> None:
        """End the operation: publish ``result`` (24,000 bytes at most) and ``completed``."""
        handle = registry.find(operation_id)
        if handle is not None:
            handle.complete(result)

    async def emit_error(self, operation_id: str, error: Any, error_type: Any = None) -> None:
        """End the operation with ``error``.

        Args:
            operation_id: The operation.
            error: An exception, or a text, cut to 2,000 bytes.
            error_type: The kind of error; None for the exception's class, or ``UnknownError``.
        """
        handle = registry.find(operation_id)
        if handle is not None:
            handle.fail(error, error_type)

    def get_operation(self, operation_id: str) -> dict[str, Any] | None:
        """Return the operation's snapshot; None where the id is not known here.

        The snapshot of an operation of this process includes every call before this one. Any other
        is as the server in this process knows it.

        Returns:
            The fields of the protocol's snapshot: ``operation_id``, ``operation_type``, ``state``,
            ``status``, ``progress`` (0.0 to 1.0), ``message``, ``details``, ``metadata``, ``tags``,
            ``error``, ``error_type``, ``current``, ``total``, ``unit``, ``rate`` (per second),
            ``eta`` and ``duration`` (seconds), ``started_at``, ``queued_at``, ``received_at`` and
            ``finished_at`` (epoch seconds), ``attempt``, ``worker``, ``queue``, ``parent_id``,
            ``root_id``, ``group_id``, ``run``, ``ignored``, ``indeterminate``, ``event_count``,
            ``last_event_id``.
        """
        handle = registry.look_up(operation_id)
        served: dict[str, Any] | None = running_server.call(
            lambda sidecar: sidecar.hub.get(str(operation_id)), None
        )
        if handle is None or is_newer(served, handle):
            return served
        return handle_snapshot(handle, served)

    def get_active_operations(self) -> list[dict[str, Any]]:
        """Return snapshots of the operations that have not ended, the newest first, 1,000 at most.

        They are those of this process and those that the server in this process knows.
        """
        nothing: list[dict[str, Any]] = []
        served = {one["operation_id"]: one for one in running_server.call(_active, nothing)}
        own = {handle.operation_id: handle for handle in registry.open_operations(MAX_LISTED)}
        found = [handle_snapshot(handle, served.get(name)) for name, handle in own.items()]
        found += [one for name, one in served.items() if name not in own and not _has_ended(one)]
        found.sort(key=itemgetter("started_at"), reverse=True)
        return found[:MAX_LISTED]

    def get_stats(self) -> dict[str, int]:
        """Return figures of the server in this process and of the process itself, all integers.

        Returns:
            ``connected_clients``, ``active_operations``, ``total_operations``, ``subscriptions`` (0
            while no server runs; a running one adds the others of ``get_stats``),
            ``own_operations`` (started and not ended in this process) and ``ignored_emits`` (calls
            for unknown or ended ids).
        """
        return {**running_server.stats(), **registry.stats()}


def _has_ended(served: dict[str, Any]) -> bool:
    """Return whether it has ended here, which the server does not know yet."""
    handle = registry.look_up(served["operation_id"])
    return handle is not None and handle.tracker.ended and not is_newer(served, handle)


def _active(sidecar: Any) -> list[dict[str, Any]]:
    unfinished = sidecar.hub.store.oldest_first(finished=False)
    return [one.snapshot() for one in islice(reversed(unfinished), MAX_LISTED)]


ws_manager: Final = OperationManager()
"""The operations of this process."""
