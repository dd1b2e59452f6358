"""The open WebSocket connections: accept them, answer their commands, close the bad ones.

:class:`.Sidecar` gives :meth:`Connections.serve` to websockets as its handler, and calls
:meth:`Connections.sweep`. A connection gets a :class:`.Session` of the hub and a welcome. Its
commands go to :mod:`celery_wsprogress.hub.commands`.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.access.grants import ALL_OPERATIONS
from celery_wsprogress.errors import TokenError
from celery_wsprogress.hub import commands
from celery_wsprogress.hub.cancel_request import CancelSending
from celery_wsprogress.hub.command_context import pattern_of
from celery_wsprogress.hub.session import Session
from celery_wsprogress.hub.steps import take_all
from celery_wsprogress.operations.selector import EVERYTHING
from celery_wsprogress.protocol.close_codes import (
    NORMAL,
    RESTARTING,
    TOKEN_EXPIRED,
    TOO_SLOW,
    TRY_AGAIN_LATER,
)
from celery_wsprogress.protocol.messages import encode_frame
from celery_wsprogress.sidecar.cancel_sender import REQUEST_COST
from celery_wsprogress.sidecar.connection import ProgressConnection
from celery_wsprogress.sidecar.limits.client_limits import FAILED_TOKEN_COST
from celery_wsprogress.sidecar.limits.deadline_queue import DeadlineQueue
from celery_wsprogress.sidecar.shutdown import restart_reason
from celery_wsprogress.sidecar.token_expiry import TokenExpiry
from celery_wsprogress.sidecar.welcome import welcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from websockets.asyncio.server import ServerConnection

    from celery_wsprogress.errors import CommandError
    from celery_wsprogress.hub.cancel_request import CancelRequest
    from celery_wsprogress.hub.hub import Hub
    from celery_wsprogress.hub.steps import Steps
    from celery_wsprogress.hub.store import OperationStore
    from celery_wsprogress.settings import ServeSettings
    from celery_wsprogress.sidecar.access.authorizer import Authorizer
    from celery_wsprogress.sidecar.cancel_sender import CancelSender
    from celery_wsprogress.sidecar.client_connection import ClientConnection
    from celery_wsprogress.sidecar.ingest.log_reader import BrokerStatus
    from celery_wsprogress.sidecar.metrics.collector import MetricsCollector

UNSUBSCRIBED_AFTER: Final = 1.0
"""Seconds without a command after which a client gets everything, with ``monitor_unsubscribed``."""


LOGGED_CODES: Final = frozenset(
    {"too_many_subscriptions", "too_large", "forbidden", "unauthorized"}
)
"""Codes of the refused commands that the log names, with who has sent them: a limit, another token
or an option of ``serve`` would let them in."""

CLIENT_ID_BITS: Final = 53
"""Bits of a client's random number: those of an integer of JavaScript."""


class Connections:
    """The connections of one process.

    Args:
        by_session: Where the open ones are kept. The metrics read it.
        settings: How the sidecar serves.
        authorizer: Has given each connection its permit.
        hub: The operations that clients subscribe to.
        broker: The state of the connection to the broker, for replies.
        metrics: Counts what is opened and closed.
        stats: Makes the reply to ``get_stats``.
        cancels: Sends what clients ask to be cancelled.
    """

    def __init__(
        self,
        by_session: dict[Session, ClientConnection],
        *,
        settings: ServeSettings,
        authorizer: Authorizer,
        hub: Hub,
        broker: BrokerStatus,
        metrics: MetricsCollector,
        stats: Callable[[], Mapping[str, Any]],
        cancels: CancelSender,
    ) -> None:
        self._by_session = by_session
        self._settings = settings
        self._authorizer = authorizer
        self._hub = hub
        self._broker = broker
        self._metrics = metrics
        self._stats = stats
        self._cancels = cancels
        self._expiry = TokenExpiry(self._close_if_forbidden)
        self._awaited: DeadlineQueue[Session] = DeadlineQueue(settings.auth_timeout)
        """Those that have sent no valid token yet, or have none any more."""

    async def serve(self, connection: ServerConnection) -> None:
        """Serve one connection of websockets."""
        assert isinstance(connection, ProgressConnection)  # noqa: S101 - see Sidecar._serve
        await self.serve_client(connection)

    async def serve_client(self, connection: ClientConnection) -> None:
        """Serve one connection from its welcome to its end."""
        session = Session(secrets.randbits(CLIENT_ID_BITS), connection.permit, connection.writer)
        connection.session = session
        self._by_session[session] = connection
        self._metrics.opened()
        try:
            self._expiry.watch(session)
            self._await_token(session)
            session.replies.add(
                encode_frame(
                    welcome(session.client_id, session.permit, self._settings, self._broker.error)
                )
            )
            self._execute_first(session, connection)
            connection.flush()
            if self._settings.monitor_unsubscribed:
                loop = asyncio.get_running_loop()
                loop.call_later(UNSUBSCRIBED_AFTER, self._monitor_if_silent, session)
            connection.serve_commands(lambda frame: self._answer(frame, session, connection))
            if self._metrics.stopping:
                # Those that were open before are closed by `close_all`.
                connection.schedule_close(RESTARTING, restart_reason())
            await connection.wait_closed()
        finally:
            self._expiry.forget(session)
            self._awaited.discard(session)
            self._hub.subscriptions.disconnect(session)
            del self._by_session[session]
            self._metrics.closed(connection)
            _log_close(connection)

    def sweep(self, timestamp: float) -> None:
        """Close the connections that take nothing, and look for tokens that have expired.

        Args:
            timestamp: Now, in epoch seconds.
        """
        for session, connection in list(self._by_session.items()):
            if timestamp >= session.valid_until:
                self._expiry.check(session)
            if connection.writer.is_stalled(self._settings.heartbeat):
                connection.schedule_close(TOO_SLOW, "too slow: reads nothing of what is sent")

    def close_late(self, now: float) -> None:
        """Close the connections that have not sent a valid token in time.

        Args:
            now: Seconds of the monotonic clock.
        """
        for session in self._awaited.take_due(now):
            if not session.permit.is_authenticated(time.time()):
                reason = "no valid token in time"
                self._by_session[session].schedule_close(TOKEN_EXPIRED, reason)

    def _await_token(self, session: Session) -> None:
        if not session.permit.is_authenticated(time.time()):
            self._awaited.begin(session, time.monotonic())

    def close_revoked(self) -> None:
        """Close the connections that hold a token which was revoked."""
        is_revoked = self._authorizer.verifier.revocations.cover
        for session, connection in list(self._by_session.items()):
            if session.permit.drop_if(is_revoked):
                self._hub.subscriptions.disconnect(session)
                connection.schedule_close(TOKEN_EXPIRED, "the token is revoked")

    def _close_if_forbidden(self, session: Session) -> None:
        """Close a connection that is subscribed to something that no token grants any more."""
        connection = self._by_session[session]
        connection.hold_subjects()
        if _exceeds_permissions(session, self._hub.store, time.time()):
            # Before the close frame is written: nothing may come between.
            self._hub.subscriptions.disconnect(session)
            connection.schedule_close(TOKEN_EXPIRED, "the token has expired")
        else:
            self._await_token(session)
            connection.flush()

    def _answer(self, frame: str, session: Session, connection: ClientConnection) -> Steps[None]:
        if session.commands == 0 and session.selectors:
            # `_monitor_if_silent` has subscribed it to everything, until its first command.
            yield from self._hub.subscriptions.unselect(session, EVERYTHING)
        if self._authorizer.may_need_key(frame):
            connection.wait_for(self._authorizer.prepare(frame))
            yield
        timestamp = time.time()
        if timestamp >= session.valid_until:
            # The command may add a token: what only an ended one granted must be gone before.
            self._expiry.check(session)
        steps = commands.execute(
            frame,
            session,
            self._hub,
            timestamp=timestamp,
            max_subscriptions=self._settings.max_subscriptions,
            stats=self._stats,
            replayable=self._broker.replayable,
            canceller=partial(self._cancel, connection),
            broker_error=self._broker.error,
        )
        executed = yield from self._metrics.commands.measure(steps)
        if executed.error is not None:
            self._count_error(executed.error, connection)
        if not connection.hold_subjects():
            self._refuse_subject(session, connection)
        self._expiry.watch(session)

    def _count_error(self, error: CommandError | TokenError, connection: ClientConnection) -> None:
        self._metrics.refused_commands[error.code] += 1
        is_token = isinstance(error, TokenError)
        if is_token:
            connection.charge(FAILED_TOKEN_COST)
        if is_token or error.code in LOGGED_CODES:
            what = "token" if is_token else "command"
            connection.limits.log.write(
                f"{what} {error.code}",
                f"Refused a {what} of {connection.who}: {error}",
                client=connection.address,
            )

    def _refuse_subject(self, session: Session, connection: ClientConnection) -> None:
        """Close a connection whose token is of somebody who has too many connections."""
        # It may have sent more commands: they are refused, and nothing that it watches is sent.
        session.permit.drop_if(lambda _grant: True)
        self._hub.subscriptions.disconnect(session)
        connection.schedule_close(TRY_AGAIN_LATER, "too many connections of the token's holder")

    def _cancel(self, connection: ClientConnection, request: CancelRequest) -> CancelSending:
        sending = CancelSending()
        connection.charge(REQUEST_COST)
        connection.wait_for(self._cancels.send(request, sending))
        return sending

    def _execute_first(self, session: Session, connection: ClientConnection) -> None:
        command = connection.first_command
        if command is not None:
            take_all(self._answer(json.dumps(command), session, connection))

    def _monitor_if_silent(self, session: Session) -> None:
        """Subscribe a client to everything if it has sent no command."""
        connected = session in self._by_session
        if (
            connected
            and session.commands == 0
            and session.permit.may_select(ALL_OPERATIONS, time.time())
        ):
            take_all(self._hub.subscriptions.select(session, EVERYTHING, replay="none"))


def _log_close(connection: ClientConnection) -> None:
    close = connection.own_close
    if close is not None and close.code not in NORMAL:
        text = f"Closed the connection of {connection.who} with {close.code}: {close.reason}"
        kind = f"close {int(close.code)}"
        connection.limits.log.write(kind, text, client=connection.address)


def _exceeds_permissions(session: Session, store: OperationStore, timestamp: float) -> bool:
    """Return whether it is subscribed to something that no valid token of it covers."""
    permit = session.permit
    if permit.is_open:
        return False
    selectors = (pattern_of(one) for one in session.selectors)
    if not all(permit.may_select(one, timestamp) for one in selectors):
        return True
    for operation_id in session.subscribed:
        record = store.get(operation_id)
        operation = None if record is None else record.operation
        if not permit.may_watch(operation_id, timestamp, operation):
            return True
    return False
