"""The sidecar: reads the event log and pushes it to WebSocket clients, all on one port.

:class:`Sidecar` puts the parts together, starts them and stops them. One event loop owns the hub
and all sessions. The thread of the log reader hands batches to the dispatcher
(:mod:`.ingest.dispatcher`), which puts them into the hub; the fan-out (:mod:`.fan_out`) then has
each session write what is new for it. An event needs neither a task nor a lock.

The command line (:mod:`celery_wsprogress.cli.serve`) and the embedded server
(:mod:`.embedded.thread`) create it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from websockets.asyncio.server import Server, serve

from celery_wsprogress.access.exposure import check_exposure
from celery_wsprogress.brokers.control_address import ControlAddress
from celery_wsprogress.protocol.messages import MAX_MESSAGE_BYTES
from celery_wsprogress.sidecar import listeners
from celery_wsprogress.sidecar.access.authorizer import Authorizer
from celery_wsprogress.sidecar.cancel_sender import CancelSender, send_to_workers
from celery_wsprogress.sidecar.closable_connection import CLOSE_TIMEOUT
from celery_wsprogress.sidecar.connection import ProgressConnection
from celery_wsprogress.sidecar.connections import Connections
from celery_wsprogress.sidecar.fan_out import FanOut
from celery_wsprogress.sidecar.http.request_handler import RequestHandler
from celery_wsprogress.sidecar.ingest.dispatcher import Dispatcher
from celery_wsprogress.sidecar.ingest.log_reader import BrokerStatus, LogReaderThread
from celery_wsprogress.sidecar.ingest.startup_replay import StartupReplay
from celery_wsprogress.sidecar.library_log import library_logger
from celery_wsprogress.sidecar.limits.client_limits import ClientLimits
from celery_wsprogress.sidecar.limits.open_files import (
    ACCEPTED_AT_ONCE,
    log_files,
    log_if_none_left,
    log_instead_of_tracebacks,
    raise_limit,
    share_files,
)
from celery_wsprogress.sidecar.liveness.service import LivenessService
from celery_wsprogress.sidecar.metrics.collector import MetricsCollector
from celery_wsprogress.sidecar.metrics.definitions import merge, readiness, stats
from celery_wsprogress.sidecar.metrics.latency import Latencies
from celery_wsprogress.sidecar.new_hub import new_hub
from celery_wsprogress.sidecar.reload import reload
from celery_wsprogress.sidecar.shutdown import CLOSES_PER_SECOND, close_all
from celery_wsprogress.sidecar.streams.event_responder import EventResponder
from celery_wsprogress.sidecar.tls.certificate import ServerCertificate, sources_of

if TYPE_CHECKING:
    import socket

    from websockets.asyncio.server import ServerConnection

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.hub.session import Session
    from celery_wsprogress.settings import ServeSettings
    from celery_wsprogress.sidecar.client_connection import ClientConnection
    from celery_wsprogress.sidecar.liveness.result_lookup import ResultLookup
    from celery_wsprogress.sidecar.metrics.definitions import Samples
    from celery_wsprogress.sidecar.multiprocess.supervisor_link import SupervisorLink

logger = logging.getLogger(__name__)

SWEEP_INTERVAL: Final = 5.0
"""Seconds between two sweeps: old operations, expired tokens, clients that take nothing."""

DEADLINE_INTERVAL: Final = 0.5
"""Seconds between two looks for clients that have not sent a request or a token in time."""

NO_EVENTS_WARNING_AFTER: Final = 60.0
"""Seconds without a single event after which a warning names the likely reasons."""


class Sidecar:
    """The log reader, the hub and the server on the port.

    Args:
        settings: How to serve.
        address: The broker that the log is read from.
        write_address: The broker that inferred ends are written to, if it is another one.
        backend: Celery's result backend, asked about runs that fell silent; None where there is
            none.
        control: Where Celery's workers listen; by default on the broker that is written to.
        link: The other processes that serve on the same port; None where it is alone.
        sweep_interval: Seconds between two looks for expired tokens, stuck clients and old
            operations.

    Raises:
        ConfigurationError: the settings contradict each other, name a file that cannot be used, or
            serve a public address that must not be served without a key.
    """

    def __init__(
        self,
        settings: ServeSettings,
        address: BrokerAddress,
        *,
        write_address: BrokerAddress | None = None,
        backend: ResultLookup | None = None,
        control: ControlAddress | None = None,
        link: SupervisorLink | None = None,
        sweep_interval: float = SWEEP_INTERVAL,
    ) -> None:
        check_exposure(settings)
        self.settings = settings
        self.hub = new_hub(settings)
        latencies, broker = Latencies(), BrokerStatus()
        self._startup_replay = StartupReplay()
        self._liveness = LivenessService(
            self.hub, broker, settings, write_address or address, backend
        )
        self._dispatcher = Dispatcher(
            self.hub,
            FanOut(latencies.delivery.observe_since).deliver,
            broker,
            self._startup_replay,
            self._liveness.resume,
            observe_lag=latencies.read.observe,
        )
        self.ingest = LogReaderThread(address, self._dispatcher.submit, broker)
        self.port = settings.port
        """The port it listens on. After :meth:`start` it is never 0."""
        self.sockets: list[socket.socket] = []
        """The sockets it listens on, after :meth:`start`."""
        self._by_session: dict[Session, ClientConnection] = {}
        self._files = raise_limit()
        self._shares = share_files(self._files.limit - self._files.in_use, settings.max_connections)
        self.limits = ClientLimits.of(settings, self._shares)
        self._metrics = MetricsCollector(
            self.hub, broker, self._startup_replay, self._by_session, latencies, limits=self.limits
        )
        self._link = link
        self._sweep_interval = sweep_interval
        self._authorizer = Authorizer(settings)
        self._certificate = ServerCertificate.of(settings)
        workers = control or ControlAddress(write_address or address)
        self._connections = Connections(
            self._by_session,
            settings=settings,
            authorizer=self._authorizer,
            hub=self.hub,
            broker=broker,
            metrics=self._metrics,
            stats=self.stats,
            cancels=CancelSender(partial(send_to_workers, workers)),
        )
        self._requests = RequestHandler(
            settings,
            authorizer=self._authorizer,
            hub=self.hub,
            events=EventResponder(settings, self._connections, self.hub),
            startup_replay=self._startup_replay,
            metrics=self._metrics,
            report=self._report,
            link=link,
        )
        self._servers: list[Server] = []
        self._loop: asyncio.AbstractEventLoop
        self._background: list[asyncio.Task[None]] = []

    @property
    def address(self) -> str:
        """``host:port``, for clients on this machine, or ``unix:`` and a path."""
        return listeners.address_of(self.settings, self.sockets, self.port)

    async def start(self) -> None:
        """Listen, then begin to read the log.

        Raises:
            OSError: the port is in use, or the host is no address of this machine.
        """
        self._loop = asyncio.get_running_loop()
        self.sockets = listeners.open_listeners(self.settings, shared=self._link is not None)
        self.port = listeners.port_of(self.sockets[0])
        log_instead_of_tracebacks(self._loop, self.limits.log)
        for one in self.sockets:
            self._servers.append(await self._serve(one))
            # It was set to what is accepted at once.
            one.listen(self._shares.waiting)
        log_files(self._files, self._shares, self.settings.max_connections)
        self._background = [
            self._loop.create_task(one) for one in (self._sweep(), self._close_late())
        ]
        self._loop.call_later(NO_EVENTS_WARNING_AFTER, self._warn_if_no_events)
        self._authorizer.start(self._connections.close_revoked)
        if self._certificate is not None:
            self._certificate.start()
        self._liveness.start()
        self._dispatcher.start()
        self.ingest.start()
        if self._link is not None:
            await self._link.start(self._metrics.report)

    async def _serve(self, sock: socket.socket) -> Server:
        return await serve(
            self._connections.serve,
            sock=sock,
            unix=listeners.is_unix(sock),
            backlog=ACCEPTED_AT_ONCE,
            create_connection=cast(
                "type[ServerConnection]",
                partial(ProgressConnection, limits=self.limits, certificate=self._certificate),
            ),
            process_request=self._requests.process,
            process_response=self._requests.log_failed_handshake,
            # The frames are shared by all clients, so no extension may change them.
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            # The connections limit that themselves.
            open_timeout=None,
            close_timeout=CLOSE_TIMEOUT,
            ping_interval=self.settings.heartbeat,
            ping_timeout=self.settings.heartbeat,
            server_header=None,
            logger=library_logger(),
        )

    async def stop(
        self, drain: float | None = None, *, closes_per_second: float = CLOSES_PER_SECOND
    ) -> None:
        """Close every connection (1012, with a time to connect again), then stop all parts.

        A client gets what was read for it before its connection is closed, if it takes that
        within :data:`.CLOSE_TIMEOUT`.

        Args:
            drain: Seconds over which the connections are closed, at the most; None takes the
                setting. Few connections take less.
            closes_per_second: Connections that are closed in a second, where there is time.
        """
        # New handshakes get 503 from here on. HTTP is answered until the last client is closed,
        # so that a load balancer sees a sidecar that is alive and not ready.
        self._metrics.stopping = True
        self._startup_replay.cancel()
        # The batches that were read go out before the connections are closed.
        await self._dispatcher.drain(CLOSE_TIMEOUT)
        seconds = self.settings.drain if drain is None else drain
        await close_all(list(self._by_session.values()), seconds, closes_per_second)
        self._dispatcher.close()
        for task in self._background:
            task.cancel()
        listeners.remove_file(self.settings, self.sockets)
        for server in self._servers:
            server.close()
            await server.wait_closed()
        await asyncio.to_thread(self.ingest.stop)
        await self._liveness.stop()
        await self._authorizer.stop()
        if self._certificate is not None:
            await self._certificate.stop()

    async def reload(self) -> None:
        """Read the certificate, the public keys and the revoked tokens again; log what is new."""
        await reload([*self._authorizer.sources, *sources_of(self._certificate)])

    def _report(self) -> Samples:
        """Return the figures of this process as they are now, and the latest of the others."""
        own = self._metrics.report()
        return own if self._link is None else merge([own, self._link.reports])

    def stats(self) -> dict[str, int]:
        """Return the figures of ``get_stats``."""
        return stats(self._report())

    def readiness(self) -> dict[str, Any]:
        """Return ``ready`` and what it depends on, as ``/readyz`` has it."""
        return readiness(self._report())

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_interval)
            now = time.monotonic()
            self.hub.store.expire(now)
            self.limits.turns.forget(now)
            self.limits.log.write_left_out()
            log_if_none_left(self.limits.log)
            self._connections.sweep(time.time())

    async def _close_late(self) -> None:
        while True:
            now = await self._metrics.sleep(DEADLINE_INTERVAL)
            self.limits.admission.drop_late(now)
            self._connections.close_late(now)

    def _warn_if_no_events(self) -> None:
        if not self.ingest.status.connected:
            # It says so itself; a minute with the broker is still to come.
            self._loop.call_later(NO_EVENTS_WARNING_AFTER, self._warn_if_no_events)
        elif not self.hub.counts["events"]:
            logger.warning(
                "No event in the first minute. Is a worker running on this broker, and do its "
                "tasks say @app.task(base=StreamingTask)?"
            )
