"""``operation()``: an operation that lasts as long as a ``with`` block.

The form to prefer for code that is no Celery task. :mod:`.mixin` is built on it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from celery_wsprogress.standalone.handle import NO_RESULT, OperationHandle, new_run
from celery_wsprogress.standalone.registry import start
from celery_wsprogress.worker import context
from celery_wsprogress.worker.stream_methods import StreamMethods
from celery_wsprogress.worker.track_methods import TrackMethods
from celery_wsprogress.worker.tracker import Tracker

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType
    from typing import Self

    from celery_wsprogress.worker.run_info import RunInfo
    from celery_wsprogress.worker.steps import Steps


def operation(
    name: str, metadata: Any = None, tags: Any = None, operation_id: str | None = None
) -> OperationContext:
    """Return an operation that can be watched, for code that is no Celery task.

    .. code-block:: python

        with operation("import", metadata={"file": "a.csv"}) as op:
            for n, row in enumerate(rows, 1):
                op.update_progress(current=n, total=len(rows))
            op.result({"rows": len(rows)})

    ``async with`` does the same. Entering publishes ``started``. Leaving publishes ``result``, if
    there is one, and ``completed``. An exception publishes ``error`` and propagates; the status is
    ``"cancelled"`` where the block was left from outside: by ``CancelledError``,
    ``KeyboardInterrupt``, ``GeneratorExit``, or a ``SystemExit`` without a text (gunicorn's time
    limit). Inside, the functions ``update_progress``, ``update_status``, ``log``, ``steps``,
    ``track`` and ``phase`` report for this operation.

    Events go to the broker of the process's Celery application, else to ``WSPROGRESS_URL``. Without
    either only the server of ``start_websocket_background`` in this process shows them, and only
    live. No method waits for the network.

    The process sends a heartbeat every ten seconds. When it dies, a sidecar misses them, and ends
    the operation as an ``error`` of the type ``OwnerLost``.

    Args:
        name: The operation's type, cut to 500 bytes.
        metadata: A mapping; above 8,000 bytes a preview replaces it.
        tags: Up to 50 texts, each cut to 100 bytes.
        operation_id: Its id; None for a random UUID.

    Returns:
        A context manager that can be entered once.

    Raises:
        ValueError: the id is empty, has more than 1,000 characters or lone surrogates.
    """
    return OperationContext(new_run(name, metadata, tags, operation_id))


class OperationContext(TrackMethods, StreamMethods):
    """An operation that ends when its block is left; made by :func:`operation`.

    Its methods are those of a task. They send nothing before the block and after it.
    """

    def __init__(self, run: RunInfo) -> None:
        self._tracker = Tracker(run, None)
        self._handle: OperationHandle | None = None
        self._token: Token[Tracker | None] | None = None
        self._result: Any = NO_RESULT

    @property
    def operation_id(self) -> str:
        """The operation's id; known before the block is entered."""
        return self._tracker.run.operation_id

    @property
    def ended(self) -> bool:
        """Whether the operation has ended."""
        return self._tracker.ended

    def __enter__(self) -> Self:
        if self._handle is not None:
            raise RuntimeError(
                f"operation {self.operation_id} was entered before: it runs once; "
                "call operation() for another one"
            )
        self._handle = start(self._tracker.run)
        self._tracker = self._handle.tracker
        self._token = context.current_tracker.set(self._tracker)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            # A generator may be closed in another context, to which the token means nothing.
            with suppress(ValueError):
                context.current_tracker.reset(self._token)
            self._token = None
        if self._handle is None:
            return
        if error is None:
            self._handle.complete(self._result)
        else:
            self._handle.fail(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def update_progress(
        self,
        progress: Any = None,
        message: Any = "",
        *,
        current: Any = None,
        total: Any = None,
        unit: Any = None,
        details: Any = None,
    ) -> None:
        """Report progress; see :meth:`celery_wsprogress.StreamingTask.update_progress`."""
        self._tracker.update_progress(progress, message, current, total, unit, details)

    def update_status(self, status: Any, message: Any = "", details: Any = None) -> None:
        """Report a status; see :meth:`celery_wsprogress.StreamingTask.update_status`."""
        self._tracker.update_status(status, message, details)

    def log(self, level: Any, message: Any, **details: Any) -> None:
        """Send a log line; see :meth:`celery_wsprogress.StreamingTask.log`."""
        self._tracker.log(level, message, **details)

    def set_metadata(self, **metadata: Any) -> None:
        """Add metadata; see :meth:`celery_wsprogress.StreamingTask.set_metadata`."""
        self._tracker.set_metadata(**metadata)

    def steps(self, total: Any) -> Steps:
        """Return a step counter; see :meth:`celery_wsprogress.StreamingTask.steps`.

        ``complete(result)`` of it sets the result; None sets none.
        """
        return self._tracker.steps(total, self._result_of_steps)

    def _reporting_tracker(self) -> Tracker:
        return self._tracker

    def _result_of_steps(self, value: Any) -> None:
        if value is not None:
            self.result(value)

    def result(self, value: Any) -> None:
        """Set the result, 24,000 bytes at most. It is published when the block is left."""
        self._result = value

    def complete(self, result: Any = NO_RESULT) -> None:
        """End the operation before its block is left, which then publishes nothing."""
        if self._handle is not None:
            self._handle.complete(result)
