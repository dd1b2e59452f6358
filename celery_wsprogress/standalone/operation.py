"""``operation``: an operation that lasts as long as a ``with`` block."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from celery_wsprogress.standalone.handle import NO_RESULT, OperationHandle, new_run, start
from celery_wsprogress.worker import context
from celery_wsprogress.worker.tracker import Tracker

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType
    from typing import Self

    from celery_wsprogress.worker.run_info import Run
    from celery_wsprogress.worker.steps import Steps


def operation(
    name: str, metadata: Any = None, tags: Any = None, operation_id: str | None = None
) -> OperationContext:
    """Make something that is no Celery task an operation that can be watched.

    .. code-block:: python

        with operation("import", metadata={"file": "a.csv"}) as op:
            for n, row in enumerate(rows, 1):
                op.update_progress(current=n, total=len(rows))
            op.result({"rows": len(rows)})

    ``async with`` does the same. Entering says ``started``. Leaving says ``result``, if one was
    given, and ``completed``; an exception says ``error`` and goes on, with ``status: "cancelled"``
    where its code was left from outside: a ``CancelledError``, ``KeyboardInterrupt``,
    ``GeneratorExit``, a ``SystemExit`` without a text (gunicorn's time limit).
    Inside, the functions ``update_progress``, ``update_status``, ``log`` and ``steps`` speak for
    it.

    It is published as a task's events are: to the broker of the process's Celery application,
    else to ``WSPROGRESS_URL``. Without either it can be seen in this process only, by the server
    of ``start_websocket_background``, and only live. Nothing here waits for a network.

    The process says every ten seconds that it goes on. When the process dies a sidecar misses
    that, and ends the operation as an ``error`` of the type ``OwnerLost``.

    Args:
        name: The operation's type, as a task's name is that of a task.
        metadata: What there is to know of it, as a mapping.
        tags: Words to find it by.
        operation_id: Its id; by default a new one.

    Returns:
        A context manager that can be entered once.

    Raises:
        ValueError: the id is empty, has more than 1,000 characters or lone surrogates.
    """
    return OperationContext(new_run(name, metadata, tags, operation_id))


class OperationContext:
    """An operation that ends when its block is left; made by :func:`operation`.

    Its methods are those of a task. They send nothing before it is entered and after it is left.
    """

    def __init__(self, run: Run) -> None:
        self._tracker = Tracker(run, None)
        self._life: OperationHandle | None = None
        self._token: Token[Tracker | None] | None = None
        self._result: Any = NO_RESULT

    @property
    def operation_id(self) -> str:
        """Its id, for those who want to watch. Known before it is entered."""
        return self._tracker.run.operation_id

    @property
    def ended(self) -> bool:
        """Whether it has been left."""
        return self._tracker.ended

    def __enter__(self) -> Self:
        if self._life is not None:
            raise RuntimeError(
                f"operation {self.operation_id} was entered before: it runs once; "
                "call operation() for another one"
            )
        self._life = start(self._tracker.run)
        self._tracker = self._life.tracker
        self._token = context.running.set(self._tracker)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            # A generator may be closed in another context than it was begun in; that one
            # knows nothing of this operation.
            with suppress(ValueError):
                context.running.reset(self._token)
            self._token = None
        if self._life is None:
            return
        if error is None:
            self._life.complete(self._result)
        else:
            self._life.fail(error)

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
        """As :meth:`celery_wsprogress.StreamingTask.update_progress`."""
        self._tracker.update_progress(progress, message, current, total, unit, details)

    def update_status(self, status: Any, message: Any = "", details: Any = None) -> None:
        """As :meth:`celery_wsprogress.StreamingTask.update_status`."""
        self._tracker.update_status(status, message, details)

    def log(self, level: Any, message: Any, **details: Any) -> None:
        """As :meth:`celery_wsprogress.StreamingTask.log`."""
        self._tracker.log(level, message, **details)

    def set_metadata(self, **metadata: Any) -> None:
        """As :meth:`celery_wsprogress.StreamingTask.set_metadata`."""
        self._tracker.set_metadata(**metadata)

    def steps(self, total: Any) -> Steps:
        """As :meth:`celery_wsprogress.StreamingTask.steps`; ``complete(result)`` gives a result.

        Without an argument (or with None) it gives none.
        """
        return self._tracker.steps(total, self._result_of_steps)

    def _result_of_steps(self, value: Any) -> None:
        if value is not None:
            self.result(value)

    def result(self, value: Any) -> None:
        """Say what comes of it. It is sent when the block is left; the last one counts."""
        self._result = value

    def end(self, result: Any = NO_RESULT) -> None:
        """Complete it before its block is left, which then says nothing more."""
        if self._life is not None:
            self._life.complete(result)
