"""What the ASGI application serves from: the log reader, the hub and the clients of one event loop.

The parts are those of :class:`.Sidecar`, without a port. Each process of the user's server reads
the whole log, and serves its own clients from it.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.asgi.settings import load_asgi_settings
from celery_wsprogress.brokers.control_address import ControlAddress
from celery_wsprogress.brokers.discovery import choose_broker, default_address, find_celery_app
from celery_wsprogress.sidecar.access.authorizer import Authorizer
from celery_wsprogress.sidecar.access.permit_function import PermitFunction
from celery_wsprogress.sidecar.cancel_sender import CancelSender, send_to_workers
from celery_wsprogress.sidecar.connections import Connections
from celery_wsprogress.sidecar.fan_out import FanOut
from celery_wsprogress.sidecar.ingest.dispatcher import Dispatcher
from celery_wsprogress.sidecar.ingest.log_reader import BrokerStatus, LogReaderThread
from celery_wsprogress.sidecar.ingest.startup_replay import StartupReplay
from celery_wsprogress.sidecar.limits.client_limits import ClientLimits
from celery_wsprogress.sidecar.liveness.result_lookup import find_backend
from celery_wsprogress.sidecar.liveness.service import LivenessService
from celery_wsprogress.sidecar.metrics.collector import MetricsCollector
from celery_wsprogress.sidecar.metrics.definitions import stats
from celery_wsprogress.sidecar.metrics.latency import Latencies
from celery_wsprogress.sidecar.new_hub import new_hub
from celery_wsprogress.sidecar.shutdown import close_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.hub.session import Session
    from celery_wsprogress.settings import ServeSettings
    from celery_wsprogress.sidecar.client_connection import ClientConnection

SWEEP_INTERVAL: Final = 5.0
"""Seconds between two sweeps: old operations, expired tokens, clients that take nothing."""

DEADLINE_INTERVAL: Final = 0.5
"""Seconds between two looks for clients that have not sent a token in time."""

DRAIN_TIMEOUT: Final = 3.0
"""Seconds for what was read to be sent, when it stops."""


class ProgressService:
    """Reads the log and serves the clients of one event loop.

    Args:
        app: The Celery application; None to look for that of the process.
        permit: Decides what a client may do; None where tokens do, or nobody.
        options: Settings that override those of the process.

    Raises:
        ConfigurationError: a setting is bad.
    """

    def __init__(
        self, app: Any, permit: Callable[..., Any] | None, options: Mapping[str, Any]
    ) -> None:
        app = app or find_celery_app()
        self.settings = settings = load_asgi_settings(app, permit, options)
        read, write = _broker(app, settings)
        self.hub = new_hub(settings)
        self.replay = StartupReplay()
        self.limits = ClientLimits.of(settings)
        self.authorizer = Authorizer(settings, None if permit is None else PermitFunction(permit))
        latencies, broker = Latencies(), BrokerStatus()
        backend = find_backend(app, settings.result_backend)
        self._liveness = LivenessService(self.hub, broker, settings, write, backend)
        fan_out = FanOut(latencies.delivery.observe_since)
        self._dispatcher = Dispatcher(
            self.hub,
            fan_out.deliver,
            broker,
            self.replay,
            self._liveness.resume,
            observe_lag=latencies.read.observe,
        )
        self._reader = LogReaderThread(read, self._dispatcher.submit, broker)
        self._by_session: dict[Session, ClientConnection] = {}
        self.metrics = MetricsCollector(
            self.hub, broker, self.replay, self._by_session, latencies, limits=self.limits
        )
        workers = ControlAddress(write) if app is None else ControlAddress.of_app(app)
        self.connections = Connections(
            self._by_session,
            settings=settings,
            authorizer=self.authorizer,
            hub=self.hub,
            broker=broker,
            metrics=self.metrics,
            stats=lambda: stats(self.metrics.report()),
            cancels=CancelSender(partial(send_to_workers, workers)),
        )
        self.asks_by_scope = permit is not None
        """Whether a function of the application decides, which is called with the scope."""
        self._background: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to read the log. Never waits."""
        loop = asyncio.get_running_loop()
        self._background = [loop.create_task(one) for one in (self._sweep(), self._close_late())]
        self.authorizer.start(self.connections.close_revoked)
        self._liveness.start()
        self._dispatcher.start()
        self._reader.start()

    async def stop(self) -> None:
        """Close every connection (1012: clients connect again), then stop all parts."""
        self.metrics.stopping = True
        self.replay.cancel()
        await self._dispatcher.drain(DRAIN_TIMEOUT)
        await close_all(list(self._by_session.values()), 0.0)
        for task in self._background:
            task.cancel()
        self._dispatcher.close()
        await asyncio.to_thread(self._reader.stop)
        await self._liveness.stop()
        await self.authorizer.stop()

    def abandon(self) -> None:
        """Stop the thread that reads, where the event loop is closed already."""
        self._dispatcher.close()
        self._reader.stop()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            now = time.monotonic()
            self.hub.store.expire(now)
            self.limits.turns.forget(now)
            self.limits.log.write_left_out()
            self.connections.sweep(time.time())

    async def _close_late(self) -> None:
        while True:
            now = await self.metrics.sleep(DEADLINE_INTERVAL)
            self.connections.close_late(now)


def _broker(app: Any, settings: ServeSettings) -> tuple[BrokerAddress, BrokerAddress]:
    """Return the addresses to read from and to write to; else those of operations in memory."""
    found = choose_broker(app, settings)
    return found or (default_address(), default_address(write=True))
