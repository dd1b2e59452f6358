"""AMQP connections: opened with limits on every wait, and closed without waiting.

The functions take a ``kombu.Connection`` over py-amqp.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.brokers import connection as any_connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.brokers import BrokerAddress

#: Seconds between heartbeats; either side gives up after two without a sign of the other.
HEARTBEAT: Final = 15.0
#: Seconds a polite close may take, before the socket is simply closed.
CLOSE_TIMEOUT: Final = 0.2


def connect(address: BrokerAddress) -> Any:
    """Return a connection with heartbeats; see :func:`.connection.connect`."""
    options = dict(address.transport_options)
    for name in ("read_timeout", "write_timeout"):
        options[name] = any_connection.bounded(options, name)
    # kombu's own confirming takes any answer for the one it waits for.
    options["confirm_publish"] = False
    return any_connection.connect(address, options, heartbeat=HEARTBEAT)


class BlockedState:
    """Whether the broker has blocked a connection: it reads nothing of it until its alarm is over.

    It says so when something is published, to whoever drains the connection
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
    """Take one thing the broker said; False when it said nothing in this time."""
    try:
        _amqp_connection(connection).drain_events(timeout=timeout)
    except TimeoutError:
        return False
    return True


def drain_until(connection: Any, happened: Callable[[], bool], timeout: float) -> bool:
    """Take what the broker says until something has happened; False when it did not in time."""
    deadline = time.monotonic() + timeout
    while not happened():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        # Not for long at once: with each heartbeat of the broker the library waits anew.
        drain_one(connection, min(left, 0.5))
    return True


def heartbeat_tick(connection: Any) -> None:
    """Send a heartbeat when one is due; raises when the broker's own have stopped."""
    _amqp_connection(connection).heartbeat_tick()


def socket_of(connection: Any) -> Any:
    """Return the socket under the connection."""
    return _amqp_connection(connection).transport.sock


def close_gracefully(connection: Any) -> None:
    """Close as the protocol wants it, so that what was written arrives; but not at any price.

    Waits for :data:`CLOSE_TIMEOUT` seconds at the most, and never raises.
    """
    try:
        socket_of(connection).settimeout(CLOSE_TIMEOUT)
        connection.release()
    except Exception:  # noqa: BLE001
        abort(connection)


def abort(connection: Any) -> None:
    """Close the socket, and ask nobody; never raises."""
    try:
        shutdown_socket(socket_of(connection))
        connection.collect()
    except Exception:  # noqa: BLE001
        any_connection.release(connection)


def shutdown_socket(connected: Any) -> None:
    """Shut a socket in both directions, which wakes whoever reads from it; never raises."""
    try:
        # Not that of a TLS socket, which would first talk with the other side.
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
    except (OSError, TypeError):
        return


def _amqp_connection(connection: Any) -> Any:
    """Return py-amqp's connection, if it stands.

    kombu's own way to it would set up another one where this one is broken: that would hide the
    loss, and make even closing wait for a broker that is away.
    """
    established = connection._connection  # noqa: SLF001
    if established is None or not established.connected:
        raise ConnectionError("the connection to the broker is closed")
    return established
