"""Concluding things: the clock, the result backend and the log around :mod:`.checker`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.setting_parsers import FULL
from celery_wsprogress.sidecar.liveness import inferred_events
from celery_wsprogress.sidecar.liveness.checker import LivenessChecker
from celery_wsprogress.sidecar.liveness.log_appender import LogAppender

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.hub.hub import Hub
    from celery_wsprogress.settings import ServeSettings
    from celery_wsprogress.sidecar.ingest.log_reader import Connection
    from celery_wsprogress.sidecar.liveness.result_lookup import Answer, ResultLookup

logger = logging.getLogger(__name__)

LOG_LOOKUP_DELAY: Final = 2.0
"""Seconds in which the log may still bring what the result backend has answered already: a task
that has just ended is known there before its events have travelled."""


class LivenessService:
    """Concludes what nobody says, and has it written to the log.

    Runs in: the event loop.

    Args:
        hub: What is known.
        connection: How the sidecar stands with the broker.
        settings: When a run is lost, and whether the unknown is asked for.
        address: Where conclusions are written to.
        backend: What is asked; None where there is none.
    """

    def __init__(
        self,
        hub: Hub,
        connection: Connection,
        settings: ServeSettings,
        address: BrokerAddress,
        backend: ResultLookup | None = None,
    ) -> None:
        self._hub = hub
        self._connection = connection
        self._backend = backend
        self._full_errors = settings.stream_errors == FULL
        self._appender = LogAppender(address)
        self._liveness = LivenessChecker(
            hub.store, settings.lost_after, self._appender.append, self._ask if backend else None
        )
        if backend is not None and settings.answer_unknown:
            hub.subscriptions.on_unknown = self._ask_about_unknown
        self._loop: asyncio.AbstractEventLoop
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look."""
        self._loop = asyncio.get_running_loop()
        self._looking = self._loop.create_task(self._look())

    def listen(self) -> None:
        """Everything that is in the log was read: silence counts from now on."""
        self._liveness.listen(time.monotonic())

    async def stop(self) -> None:
        """Look no more, and write what was concluded: two seconds at the most."""
        if self._looking is not None:
            self._looking.cancel()
        await asyncio.to_thread(self._appender.stop)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._liveness.interval)
            if not self._connection.connected:
                self._liveness.pause()
            try:
                self._liveness.look(time.monotonic(), time.time())
            except Exception:
                # A fault of ours about one run must not leave all others without an end.
                logger.exception("Silent runs could not be looked at; trying again")

    def _ask(self, operation_id: str, answer: Callable[[Answer], None]) -> None:
        assert self._backend is not None  # noqa: S101 - else nobody calls this
        loop = self._loop
        self._backend.ask(operation_id, lambda found: _call(loop, answer, found))

    def _ask_about_unknown(self, operation_id: str) -> None:
        self._ask(operation_id, lambda found: self._take_unknown(operation_id, found))

    def _take_unknown(self, operation_id: str, found: Answer) -> None:
        if found.outcome is not None:
            self._loop.call_later(LOG_LOOKUP_DELAY, self._answer_unknown, operation_id, found)

    def _answer_unknown(self, operation_id: str, found: Answer) -> None:
        if found.outcome is not None and self._hub.get(operation_id) is None:
            full, now = self._full_errors, time.time()
            ends = inferred_events.answered(operation_id, now, found.outcome, streams_errors=full)
            self._appender.append(ends)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[Any], None], value: Any) -> None:
    """Call something in the event loop, unless that is over."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function, value)
