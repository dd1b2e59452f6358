"""The client: what its user watches, and one stream of events.

:class:`.ReconnectingClient` connects, reconnects and queues the events.

Runs in: the event loop it was entered in.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from celery_wsprogress.client.chunk_stream import ChunkStream
from celery_wsprogress.client.commands import commands_for
from celery_wsprogress.client.connection import ConnectionLost
from celery_wsprogress.client.reconnecting_client import ReconnectingClient
from celery_wsprogress.client.resume_state import ENDS
from celery_wsprogress.client.tree import fetch_tree
from celery_wsprogress.errors import CommandError
from celery_wsprogress.protocol.workflow_ids import workflow_operation_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    Frame = dict[str, Any]


class Client(ReconnectingClient):
    """Watches operations through a sidecar, and reconnects by itself.

    Entering it connects: one attempt, except that it waits for a sidecar that still reads its log.
    After that a lost connection is opened again, with growing delays, and subscriptions continue
    after the last event that was seen. Iterating gives events as dictionaries, in log order, each
    once.

    Args:
        url: ``ws://…`` or ``wss://…``, without a token.
        token: For a sidecar with a key: a token, or a function that returns one, called for each
            connection. It is sent in a command and never logged.
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

    async def subscribe(self, *ids: str) -> list[Frame]:
        """Subscribe to operations by id, or to everything (``*``).

        Returns:
            The replies: one, or for very many ids several.

        Raises:
            CommandError: the sidecar refuses it. None of these ids is subscribed again after a
                lost connection.
        """
        self._resume_state.add(ids)
        try:
            return [
                await self.send_command(**self._with_resync(one))
                for one in commands_for("subscribe", ids)
            ]
        except BaseException:
            self._resume_state.remove(ids)
            raise

    async def unsubscribe(self, *ids: str) -> list[Frame]:
        """Unsubscribe from operations, and return the replies."""
        self._resume_state.remove(ids)
        return [await self.send_command(**one) for one in commands_for("unsubscribe", ids)]

    async def cancel(
        self, operation_id: str, *, terminate: bool = False, reason: str = ""
    ) -> Frame:
        """Ask for an operation to be cancelled. How it ends comes as its events.

        Returns:
            The reply: ``status`` is ``accepted`` once the workers were told, or ``ended``.

        Args:
            operation_id: The task.
            terminate: Whether its process should be ended if it runs, where the pool can.
            reason: Why, up to 200 characters; all who watch see it.

        Raises:
            CommandError: the sidecar refuses it, or cannot reach the workers.
        """
        more = {"terminate": terminate, "reason": reason or None}
        return await self.send_command("cancel", operation_id=operation_id, **more)

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
        self, operation_id: str, *, workflow: bool = False
    ) -> AsyncGenerator[Frame, None]:
        """Give the events of one operation, from the start of its current run to its end.

        They are given here and not by iterating the client. One watch of an operation at a time; it
        ends, too, where its iterator is closed.

        Args:
            operation_id: The id of the task.
            workflow: Whether it is the id that the caller of a chain, a group or a chord holds,
                which is watched as one operation. A task that is no part of one is a workflow of
                one step.

        Raises:
            CommandError: the sidecar refuses it.
        """
        watched = workflow_operation_id(operation_id) if workflow else operation_id
        if watched in self._watched:
            raise ValueError(f"{operation_id!r} is watched already")
        events = self._watched[watched] = deque()
        try:
            await self.subscribe(watched)
        except BaseException:
            del self._watched[watched]
            raise
        try:
            while (event := await self._take(events)) is not None:
                yield event
                if event["event_type"] in ENDS:
                    return
        finally:
            await self._end_watch(watched)

    async def _end_watch(self, watched: str) -> None:
        self._resume_state.remove((watched,))
        connection = self._connection
        try:
            # On the next connection it is not subscribed again.
            if connection is not None:
                command = {"command": "unsubscribe", "operation_ids": [watched]}
                with suppress(ConnectionLost, CommandError):
                    await self._send_on(connection, command)
        finally:
            del self._watched[watched]

    def stream(self, operation_id: str, name: str) -> ChunkStream:
        """Return a stream of a task: its pieces, from the first one that is held.

        .. code-block:: python

            async for piece in client.stream(task_id, "answer"):
                print(piece, end="")

        It goes on behind a lost connection. The operation is watched meanwhile, see :meth:`watch`.

        Args:
            operation_id: The id of the task.
            name: The name of the stream.
        """
        return ChunkStream(lambda: self.watch(operation_id), name)

    async def tree(self, workflow_id: str) -> Frame:
        """Return the tasks of a workflow: ``total``, and ``nodes`` as in the wire protocol.

        Args:
            workflow_id: The id that its caller holds.
        """
        return await fetch_tree(self.send_command, workflow_id)
