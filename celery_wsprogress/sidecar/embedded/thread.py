"""A sidecar with a thread and an event loop of its own, driven from other threads."""

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
"""Seconds that starting waits for the broker. What keeps no log shows only what comes after."""
STOP_TIMEOUT: Final = 15.0
ANSWER_TIMEOUT: Final = 2.0


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server listens."""

    host: str
    port: int
    url: str
    """For clients on this machine."""


class EmbeddedSidecar:
    """A sidecar with its thread.

    Args:
        settings: How to serve.
        address: Where the log is read.
        more: What else :class:`.Sidecar` takes.
    """

    def __init__(self, settings: ServeSettings, address: BrokerAddress, **more: Any) -> None:
        self.sidecar = Sidecar(settings, address, **more)
        self._loop: asyncio.AbstractEventLoop
        self._leave: asyncio.Event
        self._listening: Future[None] = Future()
        self._given_up = False
        self._thread = threading.Thread(
            target=self._run, name="celery-wsprogress-server", daemon=True
        )

    @property
    def running(self) -> bool:
        """Whether it serves."""
        return self._thread.is_alive()

    @property
    def place(self) -> ServerAddress:
        """Where it listens."""
        sidecar = self.sidecar
        return ServerAddress(sidecar.settings.host, sidecar.port, f"ws://{sidecar.place}")

    def start(self) -> None:
        """Start the thread; return when it listens.

        Raises:
            OSError: it cannot. The thread has ended then.
            TimeoutError: it does not. The thread ends as soon as it can.
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
                logger.exception("The WebSocket server ended by an error")
            else:
                self._listening.set_exception(exc)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._leave = asyncio.Event()
        await self.sidecar.start()
        await self._wait_for_reader()
        self._listening.set_result(None)
        if not self._given_up:
            await self._leave.wait()
        # When the interpreter ends there are no more threads to wait for the reader in.
        with suppress(RuntimeError):
            await self.sidecar.stop(drain=0.0)

    async def _wait_for_reader(self) -> None:
        deadline = self._loop.time() + READER_TIMEOUT
        reader = self.sidecar.ingest.status
        while not reader.connected and self._loop.time() < deadline:  # noqa: ASYNC110 - set by a thread
            await asyncio.sleep(0.005)

    def stop(self) -> None:
        """End it. Blocks until the clients are gone."""
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join(STOP_TIMEOUT)

    def ask(self, question: Callable[[Sidecar], T], otherwise: T) -> T:
        """Ask the sidecar something, from any thread.

        Args:
            question: Called in the server's thread. Must be quick.
            otherwise: The answer where none comes within two seconds.
        """
        if threading.current_thread() is self._thread:
            return question(self.sidecar)
        answer: Future[T] = Future()

        def find_out() -> None:
            try:
                answer.set_result(question(self.sidecar))
            except Exception as exc:  # noqa: BLE001 - the thread that asked gets it
                answer.set_exception(exc)

        try:
            self._loop.call_soon_threadsafe(find_out)
            return answer.result(ANSWER_TIMEOUT)
        except (TimeoutError, RuntimeError):
            return otherwise

    def abandon(self) -> None:
        """Let go of the ports, in the child of a fork. Everything else is the parent's."""
        for one in self.sidecar.sockets:
            one.close()
