"""``watch()`` and ``wait()``: one operation, on a connection of its own."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from celery_wsprogress.client.client import Client
from celery_wsprogress.client.loop_thread import LoopThread
from celery_wsprogress.client.notebook import display_of_notebook, show_live
from celery_wsprogress.client.outcome import OutcomeReader
from celery_wsprogress.client.target import operation_id_of, token_for, url_or_default
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator

    from celery_wsprogress.client.outcome import OperationOutcome
    from celery_wsprogress.client.reconnecting_client import Token
    from celery_wsprogress.client.target import Target
    from celery_wsprogress.client.websocket_event import WebSocketEvent


class Watch:
    """What :func:`watch` returns: iterating it, with or without ``async``, gives the events.

    Each loop opens a connection, and closes it when it ends or is left. ``await`` gives the
    :class:`OperationOutcome`. In a notebook, a cell that ends with it shows a live bar.
    """

    operation_id: str
    """The id of the operation."""
    url: str
    """Where the sidecar is."""

    def __init__(
        self,
        target: Target,
        url: str | None = None,
        token: Token = None,
        workflow: bool | None = None,
    ) -> None:
        self.operation_id = operation_id_of(target, workflow)
        self.url = url_or_default(url)
        self._token = token_for(target, token)

    def __repr__(self) -> str:
        return f"<watch of {self.operation_id} at {masked(self.url)}>"

    def _ipython_display_(self) -> None:
        """Show a live bar: IPython calls it where a cell ends with this."""
        display = display_of_notebook()
        if display is None:
            print(repr(self))  # noqa: T201 - what IPython does with other objects
        else:
            show_live(self.operation_id, self, display)

    def __aiter__(self) -> AsyncIterator[WebSocketEvent]:
        return self._events()

    async def _events(self) -> AsyncGenerator[WebSocketEvent, None]:
        async with self._client() as client, aclosing(client.watch(self.operation_id)) as events:
            async for event in events:
                yield event

    def __iter__(self) -> Iterator[WebSocketEvent]:
        return self._events_without_async()

    def _events_without_async(self) -> Iterator[WebSocketEvent]:
        events = self._events()

        async def take() -> WebSocketEvent | None:
            return await anext(events, None)

        with LoopThread() as thread:
            while (event := thread.run(take())) is not None:
                yield event

    def __await__(self) -> Generator[Any, None, OperationOutcome]:
        return self._outcome(None).__await__()

    def wait(self, timeout: float | None = None) -> OperationOutcome:
        """Block until it has ended; as :func:`wait`."""
        with LoopThread() as thread:
            return thread.run(self._outcome(timeout))

    async def _outcome(self, seconds: float | None) -> OperationOutcome:
        reader = OutcomeReader(self.operation_id, self.url)
        try:
            async with asyncio.timeout(seconds), self._client() as client:
                return await reader.read(client.watch(self.operation_id))
        except TimeoutError:
            raise TimeoutError(reader.describe_wait(seconds)) from None

    def _client(self) -> Client:
        # A reader that is too slow gets a snapshot, and goes on.
        return Client(self.url, token=self._token, resync=True)


def watch(
    target: Target,
    *,
    url: str | None = None,
    token: Token = None,
    workflow: bool | None = None,
) -> Watch:
    """Watch a task or a workflow, from the start of its current run to its end.

    .. code-block:: python

        for event in watch(result):  # or: async for
            print(event.event_type, event.data)

    A lost connection is opened again, and the events continue where they stopped: none is missing
    and none comes twice. Leaving the loop closes the connection. An id that nobody has heard of yet
    is waited for.

    Args:
        target: An ``AsyncResult``, a ``GroupResult``, what :func:`start` returned, or an id.
        url: The address of the sidecar; by default that in ``WSPROGRESS_WS_URL``, else
            ``ws://localhost:8765``.
        token: For a sidecar with a key: a token, or a function that returns one, called for each
            connection. By default that of what :func:`start` returned, else that in
            ``WSPROGRESS_TOKEN``.
        workflow: Whether the id is that of a chain, a group or a chord, and all of it is watched as
            one operation. By default a ``GroupResult`` and a workflow of :func:`start` are, and
            everything else is one task.

    Raises:
        TypeError: ``target`` is nothing that has an id.

    The loop raises :class:`~celery_wsprogress.errors.NoConnection` where there is no sidecar or it
    closes the connection for good, and :class:`~celery_wsprogress.errors.CommandError` where it
    refuses the token. Without ``async``, the connection is served by a thread while the loop runs.
    """
    return Watch(target, url, token, workflow)


def wait(
    target: Target,
    timeout: float | None = None,
    *,
    url: str | None = None,
    token: Token = None,
    workflow: bool | None = None,
) -> OperationOutcome:
    """Block until a task or a workflow has ended, and return how. It needs no result backend.

    In asynchronous code it is ``await watch(target)``.

    Args:
        target: As for :func:`watch`, and so are the others.
        timeout: Seconds, with those to connect; None waits as long as it takes.
        url: The address of the sidecar.
        token: For a sidecar with a key.
        workflow: Whether the id is that of a workflow.

    Raises:
        TimeoutError: it has not ended in time.
        NoConnection: there is no sidecar, or it closes the connection for good.
        CommandError: the sidecar refuses the token.
    """
    return Watch(target, url, token, workflow).wait(timeout)
