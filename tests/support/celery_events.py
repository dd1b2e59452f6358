"""A monitor of Celery's own events, which hears everything that is sent once it is there."""

from __future__ import annotations

import contextlib
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from support.conditions import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from celery import Celery


@contextmanager
def progress_events(app: Celery) -> Iterator[Callable[[int], list[dict[str, Any]]]]:
    """Hear ``task-progress``; gives a function that waits for so many, and returns all."""
    heard: list[dict[str, Any]] = []
    first: list[object] = []
    handlers = {"task-progress": heard.append, "test-first": first.append}
    with ExitStack() as stack:
        connection, other = (stack.enter_context(app.connection()) for _ in range(2))
        dispatcher = app.events.Dispatcher(other)
        receiver = app.events.Receiver(connection, handlers=handlers)
        consumer = stack.enter_context(receiver.consumer_context())[0]

        def drain() -> None:
            with contextlib.suppress(TimeoutError):
                consumer.drain_events(timeout=0.1)

        def subscribed() -> bool:
            # On Redis nobody subscribes before it drains.
            dispatcher.send("test-first")
            drain()
            return bool(first)

        def wait(number: int) -> list[dict[str, Any]]:
            def enough() -> bool:
                drain()
                return len(heard) >= number

            eventually(enough, what=f"{number} events, and not {heard}")
            return heard

        eventually(subscribed)
        yield wait
