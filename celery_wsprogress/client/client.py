"""The client: what its user watches, and one stream of events.

:class:`.ReconnectingClient` connects, reconnects and queues the events.

Runs in: the event loop it was entered in.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from celery_wsprogress.client.advice import advice
from celery_wsprogress.client.chunk_stream import ChunkStream
from celery_wsprogress.client.commands import commands_for
from celery_wsprogress.client.operation_snapshot import OperationSnapshot
from celery_wsprogress.client.outcome import OutcomeReader
from celery_wsprogress.client.reconnecting_client import ReconnectingClient
from celery_wsprogress.client.target import operation_id_of, token_for, url_or_default
from celery_wsprogress.client.tree import fetch_tree
from celery_wsprogress.errors import WSProgressError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from typing import Self

    from celery_wsprogress.client.connection_change import ConnectionChange
    from celery_wsprogress.client.outcome import OperationOutcome
    from celery_wsprogress.client.reconnecting_client import Token
    from celery_wsprogress.client.target import Target
    from celery_wsprogress.client.websocket_event import WebSocketEvent

    Frame = dict[str, Any]


class Client(ReconnectingClient):
    """Watches many operations on one connection, which is opened again when it is lost.

    .. code-block:: python

        async with Client() as client:
            outcomes = await asyncio.gather(*(client.wait(one) for one in results))

    Entering it connects: one attempt, except that it waits for a sidecar that still reads its log.
    After that a lost connection is opened again, with growing delays, and subscriptions continue
    after the last event that was seen. Iterating gives a :class:`WebSocketEvent` for each event of
    what was subscribed, in log order, each once.

    Wherever a method takes what to watch, that is an ``AsyncResult``, a ``GroupResult``, what
    :func:`celery_wsprogress.start` returned, or an id.

    Args:
        url: ``ws://…`` or ``wss://…``, without a token. By default that in ``WSPROGRESS_WS_URL``,
            else ``ws://localhost:8765``.
        token: For a sidecar with a key: a token, or a function that returns one, called for each
            connection; by default that in ``WSPROGRESS_TOKEN``. It is sent in a command and never
            logged.
        on_change: Called with a :class:`Connected` or :class:`Disconnected`, in the event loop.
            Must not block.
        resync: Accept a ``snapshot`` event where this client was too slow and missed events. If
            False, the sidecar closes the connection instead; it is opened again, and what is
            still held follows.

    Raises:
        NoConnection: on entering: there is no sidecar. Later, from any method: the connection was
            closed with a code that forbids to connect again.
        CommandError: the sidecar rejects the token.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: Token = None,
        on_change: Callable[[ConnectionChange], None] | None = None,
        resync: bool = False,
    ) -> None:
        token = token_for(None, token)
        super().__init__(url_or_default(url), token=token, on_change=on_change, resync=resync)
        self._leaving: dict[str, asyncio.Task[None]] = {}
        """The ends of watches that were left, by operation id."""

    async def __aenter__(self) -> Self:
        with advice():
            return await super().__aenter__()

    async def subscribe(self, *targets: Target) -> list[Frame]:
        """Subscribe to operations, or to everything (``*``).

        Returns:
            The replies: one, or for very many ids several.

        Raises:
            CommandError: the sidecar refuses it. None of these ids is subscribed again after a
                lost connection.
        """
        ids = _ids(targets)
        self._resume_state.add(ids)
        return await self._subscribe(ids)

    async def _subscribe(self, ids: tuple[str, ...], **more: str) -> list[Frame]:
        try:
            with advice():
                return [
                    await self.send_command(**self._with_resync(one), **more)
                    for one in commands_for("subscribe", ids)
                ]
        except BaseException:
            self._resume_state.remove(ids)
            raise

    async def unsubscribe(self, *targets: Target) -> list[Frame]:
        """Unsubscribe from operations, and return the replies."""
        ids = _ids(targets)
        self._resume_state.remove(ids)
        return [await self.send_command(**one) for one in commands_for("unsubscribe", ids)]

    async def get(
        self, target: Target, *, workflow: bool | None = None
    ) -> OperationSnapshot | None:
        """Return how an operation stands; None if nothing is known of it.

        Raises:
            CommandError: the sidecar refuses it.
        """
        operation_id = operation_id_of(target, workflow)
        with advice():
            reply = await self.send_command("get_operation", operation_id=operation_id)
        found = reply["operation"]
        return None if found is None else OperationSnapshot(found)

    async def cancel(self, target: Target, *, terminate: bool = False, reason: str = "") -> Frame:
        """Ask for an operation to be cancelled. How it ends comes as its events.

        Returns:
            The reply: ``status`` is ``accepted`` once the workers were told, or ``ended``.

        Args:
            target: The task.
            terminate: Whether its process should be ended if it runs, where the pool can.
            reason: Why, up to 200 characters; all who watch see it.

        Raises:
            CommandError: the sidecar refuses it, or cannot reach the workers.
        """
        more = {"terminate": terminate, "reason": reason or None}
        with advice():
            return await self.send_command("cancel", operation_id=operation_id_of(target), **more)

    async def subscribe_steps(self, workflow_id: str) -> Frame:
        """Subscribe to the tasks of a workflow, and return the reply.

        What has not ended is shown once as it is; then follows what happens.

        Raises:
            CommandError: the sidecar refuses it.
        """
        fields = {"steps_of": workflow_id}
        self._resume_state.selectors.append(fields)
        try:
            return await self.send_command(**self._with_resync({"command": "subscribe", **fields}))
        except BaseException:
            self._resume_state.selectors.remove(fields)
            raise

    async def watch(
        self, target: Target, *, workflow: bool | None = None
    ) -> AsyncGenerator[WebSocketEvent, None]:
        """Give the events of one operation, from the start of its current run to its end.

        They are given here and not by iterating the client. One watch of an operation at a time; it
        ends, too, where its iterator is closed.

        Args:
            target: What to watch.
            workflow: Whether it is the id that the caller of a chain, a group or a chord holds,
                which is watched as one operation. A task that is no part of one is a workflow of
                one step. By default a ``GroupResult`` and a workflow of ``start()`` are.

        Raises:
            CommandError: the sidecar refuses it.
        """
        watched = operation_id_of(target, workflow)
        if watched in self._leaving:
            await self._leaving[watched]
        if watched in self._watched:
            raise ValueError(f"{target!r} is watched already")
        events = self._watched[watched] = deque()
        try:
            with advice():
                self._resume_state.add_watch(watched)
                # All of it, also where another subscription has shown it.
                await self._subscribe((watched,), replay="all")
                while (event := await self._take(events)) is not None:
                    yield event
                    if event.is_end:
                        return
        finally:
            self._leave(watched)

    def _leave(self, watched: str) -> None:
        """End a watch, without waiting: perhaps there is no connection now."""
        if self._closed or self._failure is not None:
            del self._watched[watched]
            return
        leaving = self._leaving[watched] = asyncio.create_task(self._unsubscribe_left(watched))
        leaving.add_done_callback(lambda _: self._leaving.pop(watched))

    async def _unsubscribe_left(self, watched: str) -> None:
        try:
            # With the client it is over anyway.
            with suppress(WSProgressError):
                await self.unsubscribe(watched)
        finally:
            # Until now its events went there, and not to who iterates the client.
            del self._watched[watched]

    def stream(self, target: Target, name: str) -> ChunkStream:
        """Return a stream of a task: its pieces, from the first one that is held.

        .. code-block:: python

            async for piece in client.stream(task_id, "answer"):
                print(piece, end="")

        It goes on behind a lost connection. The operation is watched meanwhile, see :meth:`watch`.

        Args:
            target: The task.
            name: The name of the stream.
        """
        return ChunkStream(lambda: self.watch(target), name)

    async def wait(
        self,
        target: Target,
        timeout: float | None = None,  # noqa: ASYNC109 - the error says what was waited for
        *,
        workflow: bool | None = None,
    ) -> OperationOutcome:
        """Wait until an operation has ended, and return how.

        Args:
            target: What to wait for.
            timeout: Seconds.
            workflow: As for :meth:`watch`.

        Raises:
            TimeoutError: it has not ended in time.
            CommandError: the sidecar refuses it.
        """
        operation_id = operation_id_of(target, workflow)
        reader = OutcomeReader(operation_id, self.url)
        try:
            async with asyncio.timeout(timeout):
                return await reader.read(self.watch(operation_id))
        except TimeoutError:
            raise TimeoutError(reader.describe_wait(timeout)) from None

    async def tree(self, workflow_id: str) -> Frame:
        """Return the tasks of a workflow: ``total``, and ``nodes`` as in the wire protocol.

        Args:
            workflow_id: The id that its caller holds.
        """
        return await fetch_tree(self.send_command, workflow_id)


def _ids(targets: tuple[Target, ...]) -> tuple[str, ...]:
    """Return the ids of these. Of texts, also ``*``, the sidecar says what is wrong."""
    return tuple(one if isinstance(one, str) else operation_id_of(one) for one in targets)
