"""``StreamingMixin``: methods of an object that run as operations.

Built on :func:`.operation.operation`.
"""

from __future__ import annotations

from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.standalone.operation import OperationContext, operation

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager
    from contextvars import Token
    from types import TracebackType

_EMPTY: Final[Mapping[int, OperationContext]] = {}

#: The innermost open operation of each object, in this context. By ``id()``: objects may be
#: unhashable, without ``__dict__``, or equal to each other. An open operation keeps its object
#: alive, so no other object has that id.
_open_operations: ContextVar[Mapping[int, OperationContext]] = ContextVar(
    "celery_wsprogress.mixin", default=_EMPTY
)


class StreamingMixin:
    """Adds operations that can be watched to a class.

    .. code-block:: python

        class Generator(StreamingMixin):
            async def generate(self, prompt):
                async with self.stream_operation("generate", {"prompt": prompt}) as operation_id:
                    await self.emit_progress(0.5, "Half of it")
                    await self.emit_result({"text": text})

    An object may have any number of open operations, each in its own asyncio task, also nested.
    The methods report for the innermost one of the object in the task that calls them; outside of
    one they do nothing. None waits for the network.

    It needs no ``super().__init__()`` and stores nothing on the object.
    """

    __slots__ = ()

    def stream_operation(
        self, operation_type: str, metadata: Any = None
    ) -> AbstractAsyncContextManager[str]:
        """Return an operation for an ``async with`` block, which binds its id.

        Entering the block publishes ``started``. An exception ends the operation with ``error`` and
        propagates; otherwise leaving the block ends it with ``completed``. When the process dies,
        it ends as with :func:`~celery_wsprogress.operation`.

        Args:
            operation_type: The kind of operation, cut to 500 bytes.
            metadata: A mapping; above 8,000 bytes a preview replaces it.
        """
        return _StreamingContext(self, operation(operation_type, metadata))

    async def emit_progress(self, progress: Any, message: Any = "", details: Any = None) -> None:
        """Report progress.

        Args:
            progress: 0.0 to 1.0; a value outside is clamped.
            message: A text for people, cut to 2,000 bytes.
            details: A mapping; above 8,000 bytes a preview replaces it.

        Raises:
            TypeError: ``progress`` is not a number.
        """
        context = self._operation()
        if context is not None:
            context.update_progress(progress, message, details=details)

    async def emit_status(self, status: Any, message: Any = "", details: Any = None) -> None:
        """Report a status of your own; sizes as in :meth:`emit_progress`."""
        context = self._operation()
        if context is not None:
            context.update_status(status, message, details)

    async def emit_log(self, level: Any, message: Any) -> None:
        """Send a log line to the watchers; ``message`` is cut to 2,000 bytes."""
        context = self._operation()
        if context is not None:
            context.log(level, message)

    async def emit_result(self, result: Any) -> None:
        """Publish ``result`` (24,000 bytes at most) and ``completed``; later calls send nothing."""
        context = self._operation()
        if context is not None:
            context.complete(result)

    def _operation(self) -> OperationContext | None:
        return _open_operations.get().get(id(self))


class _StreamingContext:
    """The context manager of ``stream_operation``. It keeps the object alive until its end."""

    def __init__(self, owner: StreamingMixin, context: OperationContext) -> None:
        self._owner = owner
        self._context = context
        self._token: Token[Mapping[int, OperationContext]] | None = None

    async def __aenter__(self) -> str:
        context = self._context.__enter__()
        still_open = {name: one for name, one in _open_operations.get().items() if not one.ended}
        self._token = _open_operations.set({**still_open, id(self._owner): context})
        return context.operation_id

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            # An async generator may be closed in another context, to which the token means nothing.
            with suppress(ValueError):
                _open_operations.reset(self._token)
        self._context.__exit__(kind, error, traceback)
