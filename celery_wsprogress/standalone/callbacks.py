"""``ProgressTracker`` and the callbacks, for code that is handed a function instead of an id.

They look operations up in :mod:`.registry` and report through :mod:`.manager`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery_wsprogress.protocol import jsonable
from celery_wsprogress.standalone import registry
from celery_wsprogress.standalone.manager import ws_manager
from celery_wsprogress.worker.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class ProgressTracker:
    """Counts the steps of an operation and reports each.

    .. code-block:: python

        tracker = ProgressTracker(operation_id, len(files))
        for file in files:
            await tracker.step(f"Reading {file.name}")
        await tracker.complete({"files": len(files)})

    For an id that is not known in this process it only counts. No method waits for the network.

    Args:
        operation_id: The operation.
        total_steps: The number of steps; 0 where it is not known.

    Raises:
        TypeError: ``total_steps`` is not a number.
    """

    def __init__(self, operation_id: str, total_steps: int) -> None:
        self.operation_id = operation_id
        self._steps = Steps(
            total_steps, self._report, name=f"operation {jsonable.to_text(operation_id, 100)}"
        )

    def _report(self, *progress: Any, **named: Any) -> None:
        tracker = registry.find_tracker(self.operation_id)
        if tracker is not None:
            tracker.update_progress(*progress, **named)

    @property
    def current_step(self) -> float | int:
        """Steps taken so far; never above the total."""
        return self._steps.current_step

    @property
    def total_steps(self) -> float | int | None:
        """The number of steps, as given; None where it is not known."""
        return self._steps.total_steps

    async def step(self, message: Any = "", details: Any = None) -> None:
        """Count a step and report it.

        A step beyond the total is not counted; one warning is logged.
        """
        self._steps.step(message, details)

    async def complete(self, result: Any = None) -> None:
        """Report the last step, and end the operation with ``result`` and ``completed``."""
        self._steps.complete()
        await ws_manager.emit_result(self.operation_id, result)


def create_progress_callback(operation_id: str) -> Callable[..., Awaitable[None]]:
    """Return a function that reports the progress of an operation.

    Returns:
        ``await callback(progress, message="", details=None)``, as
        :meth:`OperationManager.emit_progress`.
    """

    async def callback(progress: Any, message: Any = "", details: Any = None) -> None:
        await ws_manager.emit_progress(operation_id, progress, message, details)

    return callback


def create_log_callback(operation_id: str) -> Callable[[Any, Any], Awaitable[None]]:
    """Return a function that sends log lines to the watchers of an operation.

    Returns:
        ``await callback(level, message)``, as :meth:`OperationManager.emit_log`.
    """

    async def callback(level: Any, message: Any) -> None:
        await ws_manager.emit_log(operation_id, level, message)

    return callback
