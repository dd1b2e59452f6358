"""``StreamingMixin``: operations that are methods of an object."""

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

#: The operation that goes on here, of each object that has one. By ``id``: objects may be
#: unhashable, without ``__dict__``, or equal to each other. While an operation goes on its
#: object is there, so no other one has that id; one that is over says nothing.
_open_operations: ContextVar[Mapping[int, OperationContext]] = ContextVar(
    "celery_wsprogress.mixin", default=_EMPTY
)


class StreamingMixin:
    """Gives a class operations that can be watched.

    .. code-block:: python

        class Generator(StreamingMixin):
            async def generate(self, prompt):
                async with self.stream_operation("generate", {"prompt": prompt}) as operation_id:
                    await self.emit_progress(0.5, "Half of it")
                    await self.emit_result({"text": text})

    Any number of operations of one object may go on at once, each in its own asyncio task, and
    one inside another. The methods speak for the innermost one of the object in the task that
    calls them; outside of any they do nothing. None waits for a network.

    It needs no ``super().__init__()`` and keeps nothing on the object.
    """

    __slots__ = ()

    def stream_operation(
        self, operation_type: str, metadata: Any = None
    ) -> AbstractAsyncContextManager[str]:
        """Begin an operation for an ``async with`` block, which gets its id.

        An exception ends it with ``error`` and goes on; leaving the block without a result ends
        it ``completed``. When its process dies, it ends as :func:`~celery_wsprogress.operation`
        says.

        Args:
            operation_type: What kind of operation it is.
            metadata: What there is to know of it, as a mapping.
        """
        return _StreamingContext(self, operation(operation_type, metadata))

    async def emit_progress(self, progress: Any, message: Any = "", details: Any = None) -> None:
        """Say how far it is.

        Args:
            progress: 0.0 to 1.0.
            message: What is done, for a person to read.
            details: Anything else, as a mapping.

        Raises:
            TypeError: ``progress`` is no number.
        """
        scope = self._operation()
        if scope is not None:
            scope.update_progress(progress, message, details=details)

    async def emit_status(self, status: Any, message: Any = "", details: Any = None) -> None:
        """Put a word of one's own on what it does."""
        scope = self._operation()
        if scope is not None:
            scope.update_status(status, message, details)

    async def emit_log(self, level: Any, message: Any) -> None:
        """Send a line to those who watch."""
        scope = self._operation()
        if scope is not None:
            scope.log(level, message)

    async def emit_result(self, result: Any) -> None:
        """Say what came of it. That completes it; what is said afterwards is not sent."""
        scope = self._operation()
        if scope is not None:
            scope.end(result)

    def _operation(self) -> OperationContext | None:
        return _open_operations.get().get(id(self))


class _StreamingContext:
    """What ``stream_operation`` returns. It keeps the object while the operation goes on."""

    def __init__(self, owner: StreamingMixin, scope: OperationContext) -> None:
        self._owner = owner
        self._context = scope
        self._token: Token[Mapping[int, OperationContext]] | None = None

    async def __aenter__(self) -> str:
        scope = self._context.__enter__()
        going_on = {name: one for name, one in _open_operations.get().items() if not one.ended}
        self._token = _open_operations.set({**going_on, id(self._owner): scope})
        return scope.operation_id

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            # It may be closed in another context than it was begun in.
            with suppress(ValueError):
                _open_operations.reset(self._token)
        self._context.__exit__(kind, error, traceback)
