"""An event loop in a thread of its own, for code without ``async``.

It works where a loop runs in the caller's thread already, as in a notebook.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Self

T = TypeVar("T")


class LoopThread:
    """A thread with an event loop, from entering to leaving.

    Leaving cancels what still runs there, closes what is open, and waits for the thread to end.
    """

    def __init__(self) -> None:
        self._started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        # As a daemon: a generator that nobody closes must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name="wsprogress-client", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._loop, self._stop = self._started.result()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if sys.is_finalizing():
            # A generator that was left open: no thread but this one runs any more.
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run this in the loop; wait for it, and return what it returns."""
        running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return running.result()
        except BaseException:
            # Ctrl-C may come while this waits.
            running.cancel()
            raise

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        stop = asyncio.Event()
        self._started.set_result((asyncio.get_running_loop(), stop))
        await stop.wait()
