"""Show an operation as a live bar in a notebook.

IPython is no dependency: what is needed of it is described here as protocols
(IPython 8.0, ``core/display_functions.py``).
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import TYPE_CHECKING, Any, Protocol

from celery_wsprogress.client.live_bar import LiveBar
from celery_wsprogress.errors import WSProgressError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from celery_wsprogress.client.websocket_event import WebSocketEvent


class DisplayHandle(Protocol):
    """What was displayed, and can be replaced."""

    def update(self, bundle: dict[str, str], *, raw: bool) -> Any:
        """Show this in its place."""


class Display(Protocol):
    """The function ``IPython.display.display``."""

    def __call__(
        self, bundle: dict[str, str], *, raw: bool, display_id: bool
    ) -> DisplayHandle | None:
        """Show this below the cell."""


def show_live(operation_id: str, events: AsyncIterable[WebSocketEvent], display: Display) -> None:
    """Show a bar, and update it in a thread until the operation has ended.

    The cell does not wait. The thread ends with the operation, or with the kernel.
    """
    bar = LiveBar(operation_id)
    handle = display(bar.bundle(), raw=True, display_id=True)
    if handle is None:
        return
    # The context tells ipykernel to which cell the output belongs.
    follow = contextvars.copy_context().run
    threading.Thread(
        target=follow,
        args=(asyncio.run, _follow(events, bar, handle)),
        name="wsprogress-notebook",
        daemon=True,
    ).start()


async def _follow(
    events: AsyncIterable[WebSocketEvent], bar: LiveBar, handle: DisplayHandle
) -> None:
    try:
        async for event in events:
            bar.apply(event)
            handle.update(bar.bundle(), raw=True)
    except WSProgressError as exc:
        bar.fail(" ".join([f"{exc}.", *getattr(exc, "__notes__", ())]))
        handle.update(bar.bundle(), raw=True)


def display_of_notebook() -> Display | None:
    """Return the function that displays in this notebook; None in a terminal."""
    from IPython import get_ipython  # noqa: PLC0415 - no dependency
    from IPython.display import display  # noqa: PLC0415

    # In a terminal, each update would be printed below the one before.
    found: Display | None = display if hasattr(get_ipython(), "kernel") else None
    return found
