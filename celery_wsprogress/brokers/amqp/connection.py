"""AMQP connections: opened with a timeout for every wait, and closed without waiting.

Used by the other modules here. The functions take a ``kombu.Connection`` over py-amqp.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any, Final

from kombu.connection import Connection

from celery_wsprogress.brokers import connection as any_connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.brokers import BrokerAddress

#: Seconds between heartbeats. Either side gives up after two of them without data
#: (https://www.rabbitmq.com/docs/heartbeats).
HEARTBEAT: Final = 15.0
#: Seconds that closing by protocol may take before the socket is shut.
CLOSE_TIMEOUT: Final = 0.2


class _AmqpConnection(Connection):
    """Checks the certificate of each server of a list for that server's name.

    With ``server_hostname`` None, kombu stores the first server's name in the options, and uses it
    for all others (kombu 5.7, transport/pyamqp.py, ``establish_connection``).
    """

    def _init_params(self, *parameters: Any, **more: Any) -> None:
        super()._init_params(*parameters, **more)  # type: ignore[no-untyped-call]
        if isinstance(self.ssl, dict):
            self.ssl = dict(self.ssl)


def connect(address: BrokerAddress) -> Any:
    """Return a connection with heartbeats; see :func:`.connection.connect`."""
    options = dict(address.transport_options)
    for name in ("read_timeout", "write_timeout"):
        options[name] = any_connection.bounded(options, name)
    # kombu's confirmation takes any ack for the one it waits for (py-amqp 5.4, channel.py,
    # `basic_publish_confirm`).
    options["confirm_publish"] = False
    return any_connection.connect(
        address, options, connection_class=_AmqpConnection, heartbeat=HEARTBEAT
    )


class BlockedState:
    """Records whether the broker has blocked a connection, from which it reads nothing then.

    The broker sends it after a publication, and it arrives when the connection is drained
    (https://www.rabbitmq.com/docs/connection-blocked).
    """

    def __init__(self, connection: Any) -> None:
        self.active = False
        established = _amqp_connection(connection)
        established.on_blocked, established.on_unblocked = self._begin, self._end

    def _begin(self, _reason: object = None) -> None:
        self.active = True

    def _end(self) -> None:
        self.active = False


def drain_one(connection: Any, timeout: float) -> bool:
    """Process one method from the broker; False if none arrives in ``timeout`` seconds."""
    try:
        _amqp_connection(connection).drain_events(timeout=timeout)
    except TimeoutError:
        return False
    return True


def drain_until(connection: Any, happened: Callable[[], bool], timeout: float) -> bool:
    """Process methods from the broker until a condition holds; False if it does not in time."""
    deadline = time.monotonic() + timeout
    while not happened():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        # In short waits: each heartbeat of the broker restarts py-amqp's timeout (5.4,
        # connection.py, `drain_events`).
        drain_one(connection, min(left, 0.5))
    return True


def heartbeat_tick(connection: Any) -> None:
    """Send a heartbeat if one is due. Raises if the broker's have stopped."""
    _amqp_connection(connection).heartbeat_tick()


def socket_of(connection: Any) -> Any:
    """Return the socket under the connection."""
    return _amqp_connection(connection).transport.sock


def close_gracefully(connection: Any) -> None:
    """Close by protocol, so that what was written arrives, within :data:`CLOSE_TIMEOUT` seconds.

    Never raises.
    """
    try:
        socket_of(connection).settimeout(CLOSE_TIMEOUT)
        connection.release()
    except Exception:  # noqa: BLE001
        abort(connection)


def abort(connection: Any) -> None:
    """Close the socket without the protocol. Never raises."""
    try:
        shutdown_socket(socket_of(connection))
        connection.collect()
    except Exception:  # noqa: BLE001
        any_connection.release(connection)


def shutdown_socket(connected: Any) -> None:
    """Shut a socket in both directions, which wakes a thread that reads from it. Never raises."""
    try:
        # The method of a TLS socket would first wait for the other side.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
    except (OSError, TypeError):
        return


def _amqp_connection(connection: Any) -> Any:
    """Return py-amqp's connection. Raises ``ConnectionError`` if it is lost.

    ``kombu.Connection.connection`` would open another one: that would hide the loss, and make even
    closing wait for a broker that is down.
    """
    established = connection._connection  # noqa: SLF001
    if established is None or not established.connected:
        raise ConnectionError("the connection to the broker is closed")
    return established
