"""A sidecar with a thread and an event loop of its own.

:mod:`.background` starts it and stops it. All public methods may be called from any thread.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from celery_wsprogress.sidecar.server import Sidecar

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.settings import ServeSettings

logger = logging.getLogger(__name__)

T = TypeVar("T")

START_TIMEOUT: Final = 30.0
READER_TIMEOUT: Final = 1.0
"""Seconds that starting waits for the broker: without a log, earlier events are not shown."""
STOP_TIMEOUT: Final = 15.0
ANSWER_TIMEOUT: Final = 2.0


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """The address of a server."""

    host: str
    port: int
    url: str
    """``ws://host:port``, for clients on this machine; with TLS ``wss://``."""


class EmbeddedSidecar:
    """A sidecar in a daemon thread.

    Args:
        settings: How to serve.
        address: The broker that the log is read from.
        more: Further arguments of :class:`.Sidecar`.
    """

    def __init__(self, settings: ServeSettings, address: BrokerAddress, **more: Any) -> None:
        self.sidecar = Sidecar(settings, address, **more)
        self._loop: asyncio.AbstractEventLoop
        self._stop_requested: asyncio.Event
        self._listening: Future[None] = Future()
        self._given_up = False
        self._thread = threading.Thread(
            target=self._run, name="celery-wsprogress-server", daemon=True
        )

    @property
    def running(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def address(self) -> ServerAddress:
        """The address that it listens on."""
        sidecar = self.sidecar
        scheme = "wss" if sidecar.settings.has_tls else "ws"
        return ServerAddress(sidecar.settings.host, sidecar.port, f"{scheme}://{sidecar.address}")

    def start(self) -> None:
        """Start the thread; return when it listens.

        Raises:
            OSError: it cannot listen. The thread has ended.
            TimeoutError: it does not listen in time. The thread ends as soon as it can.
        """
        self._thread.start()
        try:
            self._listening.result(START_TIMEOUT)
        except TimeoutError:
            self._given_up = True
            raise

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as exc:
            if self._listening.done():
                logger.exception("The WebSocket server stopped with an error")
            else:
                self._listening.set_exception(exc)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop_requested = asyncio.Event()
        await self.sidecar.start()
        await self._wait_for_reader()
        self._listening.set_result(None)
        if not self._given_up:
            await self._stop_requested.wait()
        # At interpreter exit `to_thread` can start no thread, and `stop` fails with RuntimeError.
        with suppress(RuntimeError):
            await self.sidecar.stop(drain=0.0)

    async def _wait_for_reader(self) -> None:
        deadline = self._loop.time() + READER_TIMEOUT
        reader = self.sidecar.ingest.status
        while not reader.connected and self._loop.time() < deadline:  # noqa: ASYNC110 - a thread sets it
            await asyncio.sleep(0.005)

    def stop(self) -> None:
        """Stop the server. Block until the connections are closed, 15 seconds at the most."""
        with suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._stop_requested.set)
        self._thread.join(STOP_TIMEOUT)

    def call(self, function: Callable[[Sidecar], T], default: T) -> T:
        """Call a function in the server's thread, and return its result.

        Args:
            function: Called with the sidecar. It blocks the event loop, so it must be quick.
            default: Returned if there is no result within two seconds.
        """
        if threading.current_thread() is self._thread:
            return function(self.sidecar)
        result: Future[T] = Future()

        def run() -> None:
            try:
                result.set_result(function(self.sidecar))
            except Exception as exc:  # noqa: BLE001 - raised in the calling thread
                result.set_exception(exc)

        try:
            self._loop.call_soon_threadsafe(run)
            return result.result(ANSWER_TIMEOUT)
        except (TimeoutError, RuntimeError):
            return default

    def abandon(self) -> None:
        """Close the listening sockets, in a forked child. Everything else belongs to the parent."""
        for one in self.sidecar.sockets:
            one.close()
