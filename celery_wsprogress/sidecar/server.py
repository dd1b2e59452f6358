"""The sidecar: one port, many watchers.

One event loop owns the hub and all sessions. What the thread of the log reader has read goes
through the dispatcher (:mod:`.ingest.dispatcher`) into the hub; then the fan-out has each session
write what is new for it. An event needs neither a task nor a lock.

Shutting down goes against the stream: first no new connections are accepted, then the clients are
told when to come back (1012, see :mod:`.shutdown`), then the reader stops.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from websockets.asyncio.server import Server, serve

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub import commands
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.session import Session
from celery_wsprogress.hub.store import Limits, OperationStore
from celery_wsprogress.operations.selector import EVERYTHING
from celery_wsprogress.protocol import close_codes
from celery_wsprogress.protocol.batches import VERSION
from celery_wsprogress.protocol.messages import MAX_COMMAND_BYTES, MAX_MESSAGE_BYTES, encode_frame
from celery_wsprogress.sidecar.connection import CLOSE_TIMEOUT, ProgressConnection
from celery_wsprogress.sidecar.fan_out import FanOut
from celery_wsprogress.sidecar.http.handshake import (
    LOST_UPGRADE,
    check_exposure,
    foreign,
    lost_upgrade,
    operation_id_of,
    reject_reason,
    response,
    single_header,
)
from celery_wsprogress.sidecar.http.refusals import Refusals
from celery_wsprogress.sidecar.http.routes import (
    STARTING,
    RequestContext,
    needs_all_processes,
    respond,
    service_unavailable,
)
from celery_wsprogress.sidecar.http.static_files import respond as respond_with_file
from celery_wsprogress.sidecar.ingest.dispatcher import Dispatcher
from celery_wsprogress.sidecar.ingest.log_reader import LogReaderThread
from celery_wsprogress.sidecar.ingest.startup_replay import HANDSHAKE_HOLD, StartupReplay
from celery_wsprogress.sidecar.liveness.service import LivenessService
from celery_wsprogress.sidecar.metrics.collector import MetricsCollector
from celery_wsprogress.sidecar.metrics.definitions import merge, readiness, stats
from celery_wsprogress.sidecar.metrics.latency import LatencyHistogram
from celery_wsprogress.sidecar.shutdown import close_all
from celery_wsprogress.sidecar.sockets import display_address, listen
from celery_wsprogress.version import __version__

if TYPE_CHECKING:
    import socket

    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.settings import ServeSettings
    from celery_wsprogress.sidecar.liveness.result_lookup import ResultLookup
    from celery_wsprogress.sidecar.metrics.definitions import Samples
    from celery_wsprogress.sidecar.multiprocess.supervisor_link import SupervisorLink

logger = logging.getLogger(__name__)

SWEEP_INTERVAL: Final = 5.0
"""Seconds between looks for old operations and expired tokens."""

UNSUBSCRIBED_AFTER: Final = 1.0
"""Seconds without a command that make a base monitor, with ``monitor_unsubscribed``."""

NO_EVENTS_WARNING_AFTER: Final = 60.0
"""Seconds without a single event after which a line says what may be wrong."""


class Sidecar:
    """Reads the log and serves it.

    Args:
        settings: How to serve.
        address: Where the log is read.
        write_address: Where the log is written to, if that is elsewhere.
        backend: Celery's result backend, which is asked about runs that fell silent; None where
            there is none.
        link: The other processes that serve on the same port; None where it is alone.

    Raises:
        ConfigurationError: the settings contradict each other or open what must be closed.
    """

    def __init__(
        self,
        settings: ServeSettings,
        address: BrokerAddress,
        *,
        write_address: BrokerAddress | None = None,
        backend: ResultLookup | None = None,
        link: SupervisorLink | None = None,
    ) -> None:
        check_exposure(settings)
        self.settings = settings
        self.hub = Hub(OperationStore(_limits(settings)), progress_interval=1 / settings.max_rate)
        self._latency = LatencyHistogram()
        self._refusals = Refusals()
        fan_out = FanOut(self._on_delivered)
        self._dispatcher = Dispatcher(self.hub, fan_out.deliver, self._on_batch, self._on_caught_up)
        self.ingest = LogReaderThread(address, self._dispatcher.submit)
        self._liveness = LivenessService(
            self.hub,
            self.ingest.status,
            settings,
            write_address or address,
            backend,
        )
        self._startup_replay = StartupReplay()
        self.port = settings.port
        """The port it listens on, also when any free one was asked for."""
        self.sockets: list[socket.socket] = []
        """Where it listens, once it does."""
        self._connections: dict[Session, ProgressConnection] = {}
        self._metrics = MetricsCollector(
            self.hub, self.ingest.status, self._startup_replay, self._connections, self._latency
        )
        self._link = link
        self._client_ids = count(1 if link is None else link.first_client_id)
        self._servers: list[Server] = []
        self._loop: asyncio.AbstractEventLoop
        self._sweeper: asyncio.Task[None] | None = None
        self._lost_upgrade = False

    @property
    def place(self) -> str:
        """Host and port, for clients on this machine."""
        return display_address(self.settings.host, self.port)

    async def start(self) -> None:
        """Listen, then begin to read.

        Raises:
            OSError: the port is in use, or the host cannot be listened on.
        """
        self._loop = asyncio.get_running_loop()
        shared = self._link is not None
        self.sockets = listen(self.settings.host, self.settings.port, shared=shared)
        self.port = self.sockets[0].getsockname()[1]
        for one in self.sockets:
            self._servers.append(await self._serve(one))
        self._sweeper = self._loop.create_task(self._sweep())
        self._loop.call_later(NO_EVENTS_WARNING_AFTER, self._warn_if_no_events)
        self._liveness.start()
        self._dispatcher.start()
        self.ingest.start()
        if self._link is not None:
            await self._link.start(self._metrics.report)

    async def _serve(self, sock: socket.socket) -> Server:
        return await serve(
            self._watch_connection,
            sock=sock,
            create_connection=ProgressConnection,
            process_request=self._process_request,
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            # Of a client that does not read its replies no more is held than these.
            max_queue=4,
            # The hold is a part of the handshake.
            open_timeout=HANDSHAKE_HOLD + 10,
            close_timeout=CLOSE_TIMEOUT,
            ping_interval=self.settings.heartbeat,
            ping_timeout=self.settings.heartbeat,
            server_header=None,
            logger=_library_logger(),
        )

    async def stop(self, drain: float | None = None) -> None:
        """Close every connection (1012, with a time to come back) and let go of everything.

        Health is answered until the last of them is closed. A client gets what was read for it
        before its connection is closed, if it takes it within :data:`CLOSE_TIMEOUT`.

        Args:
            drain: Seconds over which the connections are closed, at the most; those of the
                settings where it is None. Few connections take less.
        """
        self._metrics.stopping = True
        self._startup_replay.cancel()
        await self._dispatcher.drain(CLOSE_TIMEOUT)
        over = self.settings.drain if drain is None else drain
        await close_all(list(self._connections.values()), over)
        self._dispatcher.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for server in self._servers:
            server.close()
            await server.wait_closed()
        await asyncio.to_thread(self.ingest.stop)
        await self._liveness.stop()

    # From the log.

    def _on_delivered(self, since: float) -> None:
        self._latency.observe(time.time() - since)

    def _on_batch(self, position: str, events: int) -> None:
        if not self._startup_replay.done:
            self._startup_replay.advance(position, self.ingest.status.end, events)

    def _on_caught_up(self) -> None:
        self._startup_replay.complete()
        self._liveness.resume()

    # From the clients.

    async def _watch_connection(self, connection: ServerConnection) -> None:
        """The life of one connection, from its welcome to its end."""
        assert isinstance(connection, ProgressConnection)  # noqa: S101 - see _serve
        request = connection.request
        session = Session(next(self._client_ids), self._permit(request), connection.writer)
        connection.session = session
        self._connections[session] = connection
        self._metrics.opened()
        try:
            session.reply(encode_frame(self._welcome(session)))
            self._subscribe_by_path(request, session)
            connection.flush()
            if self.settings.monitor_unsubscribed:
                self._loop.call_later(UNSUBSCRIBED_AFTER, self._watch_unsubscribed, session)
            await connection.read_commands(lambda frame: self._answer(frame, session))
        finally:
            self.hub.subscriptions.disconnect(session)
            del self._connections[session]
            self._metrics.closed(connection)

    def _answer(self, frame: str, session: Session) -> None:
        if session.commands == 0 and session.selectors:
            # A monitor that never subscribes was watching everything until this command.
            self.hub.subscriptions.unselect(session, EVERYTHING)
        commands.answer(
            frame,
            session,
            self.hub,
            now=time.time(),
            max_subscriptions=self.settings.max_subscriptions,
            stats=self.stats,
            replayable=self.ingest.status.replayable,
            broker_error=self.ingest.status.error,
        )

    def _subscribe_by_path(self, request: Request | None, session: Session) -> None:
        operation_id = operation_id_of(request.path if request else "")
        if operation_id:
            command = {"command": "subscribe", "operation_id": operation_id}
            self._answer(json.dumps(command), session)

    def _watch_unsubscribed(self, session: Session) -> None:
        connection = self._connections.get(session)
        if connection and session.commands == 0 and session.permit.may_list(time.time()):
            self.hub.subscriptions.select(session, EVERYTHING, replay="none")

    def _welcome(self, session: Session) -> dict[str, Any]:
        now, error = time.time(), self.ingest.status.error
        data = {
            "message": "Connected to celery-wsprogress",
            "client_id": session.client_id,
            "timestamp": datetime.fromtimestamp(now, UTC).isoformat(),
            "protocol": VERSION,
            "server": f"celery-wsprogress/{__version__}",
            "heartbeat": self.settings.heartbeat,
            "auth_required": self.settings.key is not None,
            "features": commands.FEATURES,
            **({"broker_error": error} if error else {}),
            "limits": {
                "command_bytes": MAX_COMMAND_BYTES,
                "subscriptions": self.settings.max_subscriptions,
            },
        }
        return {
            "event_type": "connected",
            "operation_id": "system",
            "timestamp": now,
            "data": data,
        }

    def _permit(self, request: Request | None) -> Permit:
        origin = request.headers.get("Origin") if request else None
        without_key = self.settings.exact_only and self.settings.key is None
        return Permit(self.settings.key, exact_only=origin == "null" or without_key)

    async def _process_request(
        self, _connection: ServerConnection, request: Request
    ) -> Response | None:
        """Decide before the handshake: refuse, answer as plain HTTP, or go on (None)."""
        refused = reject_reason(request, self.settings)
        if refused is not None:
            who = foreign(request, self.settings)
            if who is not None:
                self._refusals.note(who)
            return response(refused)
        if (single_header(request.headers, "Upgrade") or "").lower() != "websocket":
            lost = lost_upgrade(request)
            if lost is not None:
                self._warn_of_lost_upgrade()
                return response(lost)
            file = respond_with_file(request, self.settings.flower_url)
            if file is not None:
                return file
            authorization = single_header(request.headers, "Authorization")
            if self._link is not None and needs_all_processes(request.path):
                await self._link.refresh()
            return response(respond(request.path, authorization, self._view(request)))
        rebuilt = await self._startup_replay.wait()
        if self._metrics.stopping:
            return response(service_unavailable("Stopping"))
        return None if rebuilt else response(service_unavailable(STARTING))

    def _view(self, request: Request) -> RequestContext:
        return RequestContext(
            hub=self.hub,
            permit=self._permit(request),
            now=time.time(),
            report=self._report,
            rebuilt=self._startup_replay.done,
        )

    def _report(self) -> Samples:
        """The figures of all processes: of this one as they are now, and as the others said."""
        own = self._metrics.report()
        return own if self._link is None else merge([own, self._link.reports])

    def stats(self) -> dict[str, int]:
        """The figures of ``get_stats``."""
        return stats(self._report())

    def readiness(self) -> dict[str, Any]:
        """Whether it is ready, and what that depends on."""
        return readiness(self._report())

    # Now and then.

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL)
            now = time.time()
            self.hub.store.expire(time.monotonic())
            for session, connection in list(self._connections.items()):
                if _exceeds_permissions(session, now):
                    connection.close_soon(close_codes.TOKEN_EXPIRED, "the token has expired")
                elif connection.writer.is_stalled(self.settings.heartbeat):
                    connection.close_soon(
                        close_codes.TOO_SLOW, "too slow: takes nothing of what is for it"
                    )

    def _warn_of_lost_upgrade(self) -> None:
        if not self._lost_upgrade:
            self._lost_upgrade = True
            logger.warning(LOST_UPGRADE.strip())

    def _warn_if_no_events(self) -> None:
        if not self.hub.counts["events"] and self.ingest.status.connected:
            logger.warning(
                "No event in the first minute. Is a worker running on this broker, and do its "
                "tasks say @app.task(base=StreamingTask)?"
            )


def _exceeds_permissions(session: Session, now: float) -> bool:
    """Whether it watches something that no living token of it covers any more."""
    permit = session.permit
    if permit.key is None:
        return False
    if session.selectors and not permit.may_list(now):
        return True
    return any(not permit.may_watch(one, now) for one in session.subscribed)


def _limits(settings: ServeSettings) -> Limits:
    return Limits(
        max_finished=settings.max_finished,
        max_waiting=settings.max_waiting,
        max_age=settings.max_age,
        max_history_bytes=settings.max_history_bytes,
    )


def _library_logger() -> logging.Logger:
    """Where websockets logs. It has a line for every connection that comes and goes."""
    library = logging.getLogger("celery_wsprogress.websockets")
    library.setLevel(logging.ERROR)
    return library
