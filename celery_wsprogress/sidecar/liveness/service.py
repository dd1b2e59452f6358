"""The liveness service: it runs the checker (:mod:`.checker`) for a sidecar.

It passes the time to the checker, and connects it to the result backend and to the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.protocol.workflow_ids import is_workflow
from celery_wsprogress.setting_parsers import FULL, TRACEBACK
from celery_wsprogress.sidecar.liveness import inferred_events
from celery_wsprogress.sidecar.liveness.checker import LivenessChecker
from celery_wsprogress.sidecar.liveness.log_appender import LogAppender

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.hub.hub import Hub
    from celery_wsprogress.hub.session import Session
    from celery_wsprogress.settings import ServeSettings
    from celery_wsprogress.sidecar.ingest.log_reader import BrokerStatus
    from celery_wsprogress.sidecar.liveness.pending_lookups import Urgency
    from celery_wsprogress.sidecar.liveness.result_lookup import LookupResult, ResultLookup

logger = logging.getLogger(__name__)

LOG_LOOKUP_DELAY: Final = 2.0
"""Seconds that the log gets to bring the end of a task that the result backend knows already: a
result is stored before the events of the task's end are written."""


class LivenessService:
    """Concludes the ends that no process reports, and writes them to the log.

    Runs in: the event loop.

    Args:
        hub: Holds the operations.
        broker: The state of the connection to the broker.
        settings: When a run is lost, and whether unknown operations are looked up.
        address: The log that conclusions are written to.
        lookup: The lookups in the result backend; None where there is none.
    """

    def __init__(
        self,
        hub: Hub,
        broker: BrokerStatus,
        settings: ServeSettings,
        address: BrokerAddress,
        lookup: ResultLookup | None = None,
    ) -> None:
        self._hub = hub
        self._broker = broker
        self._lookup = lookup
        self._full_errors = settings.stream_errors in {FULL, TRACEBACK}
        self._appender = LogAppender(address)
        self._checker = LivenessChecker(
            hub.store, settings.lost_after, self._appender.append, self._request if lookup else None
        )
        if lookup is not None and settings.answer_unknown:
            lookup.limit_clients(settings.max_lookups, settings.max_client_lookups)
            hub.subscriptions.on_unknown = self._ask_about_unknown
            hub.subscriptions.on_disconnect = lookup.forget_client
        self._loop: asyncio.AbstractEventLoop
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the checks."""
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._run())

    def resume(self) -> None:
        """Count silence from now on: all of the log has been read."""
        self._checker.resume(time.monotonic())

    async def stop(self) -> None:
        """Stop the checks, and write what was concluded, in two seconds at the most."""
        if self._task is not None:
            self._task.cancel()
        await asyncio.to_thread(self._appender.stop)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._checker.interval)
            if not self._broker.connected:
                self._checker.pause()
            try:
                self._checker.check(time.monotonic(), time.time())
            except Exception:
                # A defect that one run meets must not leave all others without an end.
                logger.exception("Silent runs could not be looked at; trying again")

    def _request(
        self, operation_id: str, answer: Callable[[LookupResult], None], urgency: Urgency
    ) -> None:
        assert self._lookup is not None  # noqa: S101 - else nobody calls this
        self._lookup.request(operation_id, partial(_call, self._loop, answer), urgency)

    def _ask_about_unknown(self, session: Session, operation_id: str) -> None:
        assert self._lookup is not None  # noqa: S101 - as above
        if is_workflow(operation_id):
            # The backend knows tasks only.
            return
        answer = partial(self._on_unknown_answer, operation_id)
        answer_in_loop = partial(_call, self._loop, answer)
        self._lookup.request_for_client(session, operation_id, answer_in_loop)
        self._hub.counts["lookups_refused"] = self._lookup.refused

    def _on_unknown_answer(self, operation_id: str, found: LookupResult) -> None:
        if found.outcome is not None:
            self._loop.call_later(LOG_LOOKUP_DELAY, self._append_unknown_end, operation_id, found)

    def _append_unknown_end(self, operation_id: str, found: LookupResult) -> None:
        if found.outcome is not None and self._hub.get(operation_id) is None:
            full, timestamp = self._full_errors, time.time()
            ends = inferred_events.ended_unknown(
                operation_id, timestamp, found.outcome, streams_errors=full
            )
            self._appender.append(ends)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[Any], None], value: Any) -> None:
    """Call a function in the event loop, unless the loop is closed."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function, value)
