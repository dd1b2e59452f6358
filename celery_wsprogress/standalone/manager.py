"""``ws_manager``: operations by their ids, for code that works with these."""

from __future__ import annotations

from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.sidecar.embedded import background
from celery_wsprogress.standalone import registry
from celery_wsprogress.standalone.handle import new_run, start
from celery_wsprogress.standalone.snapshots import is_newer, snapshot_of

if TYPE_CHECKING:
    from celery_wsprogress.sidecar.server import Sidecar

MAX_LISTED: Final = 1_000


class OperationManager:
    """Begins operations, speaks for them and asks about them, by their ids.

    .. code-block:: python

        operation_id = await ws_manager.create_operation("import", {"file": "a.csv"})
        await ws_manager.emit_progress(operation_id, 0.5, "Half of it")
        await ws_manager.emit_result(operation_id, {"rows": 1000})

    Where the code is yours to write, :func:`~celery_wsprogress.operation` is the better form: it
    cannot forget the end.

    An id means something in the process that made it. What is said for an id that nobody knows
    here, or after the operation's end, is not sent and not an error; :meth:`get_stats` counts it.
    Inside a Celery task that is watched the id of the task may be used as well, to report
    progress, status and log: its end is the task's own. Of 100,000 operations that go on at
    once the oldest is forgotten. One whose process dies is ended by a sidecar, as an ``error``
    of the type ``OwnerLost``.

    The awaitable methods only put something into a buffer: none of them waits. Of the operations
    that were begun in this process the others know at once what was said; of all others they know
    what the server that runs in this process has heard (``start_websocket_background``).
    """

    async def create_operation(self, operation_type: str, metadata: Any = None) -> str:
        """Begin an operation: ``status`` with ``started``, its type and its metadata.

        Returns:
            Its id, for those who want to watch.
        """
        return start(new_run(operation_type, metadata)).operation_id

    async def emit_progress(
        self, operation_id: str, progress: Any, message: Any = "", details: Any = None
    ) -> None:
        """Say how far it is.

        Args:
            operation_id: Which operation.
            progress: 0.0 to 1.0.
            message: What is done, for a person to read.
            details: Anything else, as a mapping.

        Raises:
            TypeError: ``progress`` is no number.
        """
        tracker = registry.find_tracker(operation_id)
        if tracker is not None:
            tracker.update_progress(progress, message, details=details)

    async def emit_status(
        self, operation_id: str, status: Any, message: Any = "", details: Any = None
    ) -> None:
        """Put a word of one's own on what it does."""
        tracker = registry.find_tracker(operation_id)
        if tracker is not None:
            tracker.update_status(status, message, details)

    async def emit_log(self, operation_id: str, level: Any, message: Any) -> None:
        """Send a line to those who watch."""
        tracker = registry.find_tracker(operation_id)
        if tracker is not None:
            tracker.log(level, message)

    async def emit_result(self, operation_id: str, result: Any) -> None:
        """End it well: ``result``, then ``completed`` with its duration."""
        life = registry.find(operation_id)
        if life is not None:
            life.complete(result)

    async def emit_error(self, operation_id: str, error: Any, error_type: Any = None) -> None:
        """End it otherwise.

        Args:
            operation_id: Which operation.
            error: A text, or an exception.
            error_type: What kind of error; by default the exception's class, or
                ``UnknownError``.
        """
        life = registry.find(operation_id)
        if life is not None:
            life.fail(error, error_type)

    def get_operation(self, operation_id: str) -> dict[str, Any] | None:
        """The operation's snapshot.

        Of one that was begun in this process it has all that was said before the call. Of any
        other it is what the server in this process has heard.

        Returns:
            The snapshot; None where nobody here knows the id.
        """
        life = registry.look_up(operation_id)
        heard = background.ask(lambda sidecar: sidecar.hub.get(str(operation_id)), None)
        return heard if life is None or is_newer(heard, life) else snapshot_of(life, heard)

    def get_active_operations(self) -> list[dict[str, Any]]:
        """Snapshots of the operations that have not ended, newest first, 1,000 at the most.

        Those that were begun in this process, with all that was said before the call, and those
        that the server in this process has heard of.
        """
        nothing: list[dict[str, Any]] = []
        heard = {one["operation_id"]: one for one in background.ask(_active, nothing)}
        own = {life.operation_id: life for life in registry.open_operations(MAX_LISTED)}
        found = [snapshot_of(life, heard.get(name)) for name, life in own.items()]
        found += [one for name, one in heard.items() if name not in own and not _is_over(one)]
        found.sort(key=itemgetter("started_at"), reverse=True)
        return found[:MAX_LISTED]

    def get_stats(self) -> dict[str, int]:
        """The server's figures, all 0 where none runs in this process, and those of the process.

        The process's own are ``own_operations``, begun and not ended here, and
        ``ignored_emits``.
        """
        return {**background.stats(), **registry.stats()}


def _is_over(heard: dict[str, Any]) -> bool:
    """Whether it has ended here, and the server has not heard it yet."""
    life = registry.look_up(heard["operation_id"])
    return life is not None and life.tracker.ended and not is_newer(heard, life)


def _active(sidecar: Sidecar) -> list[dict[str, Any]]:
    found = (one.snapshot() for one in sidecar.hub.store.newest_first(finished=False))
    return list(islice(found, MAX_LISTED))


ws_manager: Final = OperationManager()
"""The operations of this process."""
