"""A stream of a task as its pieces come. :meth:`.Client.stream` makes it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable


class ChunkStream:
    """The chunks of one stream in the current run of an operation: an asynchronous iterable.

    Each iteration begins at the first chunk that is held.

    Args:
        watch: Gives the events of the operation.
        name: The name of the stream.
    """

    def __init__(
        self, watch: Callable[[], AsyncGenerator[dict[str, Any], None]], name: str
    ) -> None:
        self.missing = False
        """Whether chunks are missing: the beginning is not held any more, or the worker dropped
        some."""
        self._watch = watch
        self._name = name

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Give the chunks until the stream is closed, its run is over or the operation has ended.

        Raises:
            CommandError: the sidecar refuses it.
        """
        run = None
        due = 0
        async with aclosing(self._watch()) as events:
            async for event in events:
                data = event.get("data", {})
                if event["event_type"] != "chunk" or data["stream"] != self._name:
                    continue
                run = event["run"] if run is None else run
                # Another attempt begins anew.
                if event["run"] != run:
                    return
                if data["index"] != due:
                    self.missing = True
                due = data["index"] + 1
                if data.get("closed"):
                    return
                yield data["chunk"]
