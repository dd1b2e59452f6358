"""Celery's control commands, sent to all workers over a connection of their own.

The message is the one of Celery's ``app.control.broadcast`` (kombu 5.7, kombu/pidbox.py,
``Mailbox._publish``), which would repeat a write to a broker that is down for ever. Here every wait
has a timeout. Neither Celery nor its application is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kombu.entity import Exchange
from kombu.messaging import Producer

from celery_wsprogress.brokers import connection as connections

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.brokers.control_address import ControlAddress

_TIMEOUTS: Final = {
    "redis": ("socket_timeout", "socket_connect_timeout"),
    "amqp": ("read_timeout", "write_timeout"),
}
"""Transport options with the seconds of one wait, by the type of kombu's transport."""


def broadcast(
    address: ControlAddress, command: str, all_arguments: Iterable[Mapping[str, Any]]
) -> bool:
    """Send a command to all workers, once for each arguments. Blocks for seconds at the most.

    Returns:
        Whether the broker can tell all workers; False for one without fanout, where nothing is
        sent.

    Raises:
        Exception: whatever the client library raises when the broker is down.
    """
    connection = _connect(address.broker)
    try:
        if not connections.has_fanout(connection):
            return False
        exchange = Exchange(  # type: ignore[no-untyped-call]
            f"{address.exchange}.pidbox", type="fanout", durable=False, delivery_mode="transient"
        )
        producer: Any = Producer(connection.channel(), exchange=exchange)  # type: ignore[no-untyped-call]
        for arguments in all_arguments:
            message = {"method": command, "arguments": arguments, "destination": None}
            producer.publish(
                message, headers={"expires": 0}, serializer=address.serializer, retry=False
            )
    finally:
        connections.release(connection)
    return True


def _connect(address: BrokerAddress) -> Any:
    driver = connections.driver_type(address)
    options = dict(address.transport_options)
    for name in _TIMEOUTS.get(driver, ()):
        options[name] = connections.bounded(options, name)
    if driver == "amqp":
        # Else a broker that takes nothing at present, for want of memory, would not be noticed.
        options["confirm_publish"] = True
    return connections.connect(address, options)
