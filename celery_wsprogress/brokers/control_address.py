"""Where the workers of a Celery application listen for control commands. Connects to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celery_wsprogress.brokers.address import broker_address

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Self

    from celery_wsprogress.brokers import BrokerAddress

DEFAULT_EXCHANGE: Final = "celery"
"""The default of ``control_exchange``."""


class ControlAddress(NamedTuple):
    """Where the workers of an application listen for control commands."""

    broker: BrokerAddress
    exchange: str = DEFAULT_EXCHANGE
    """Celery's ``control_exchange``."""
    serializer: str = "json"
    """Celery's ``task_serializer``."""

    @classmethod
    def of_app(cls, app: Any) -> Self:
        """Return that of a Celery application.

        Raises:
            ConfigurationError: ``broker_transport`` names no transport of kombu's.
        """
        conf = app.conf
        return cls(broker_address(app, write=True), conf.control_exchange, conf.task_serializer)


def revoke_arguments(task_ids: Iterable[str], *, terminate: bool, reason: str) -> dict[str, Any]:
    """Return the arguments of the command ``revoke``.

    Args:
        task_ids: The tasks.
        terminate: Whether to end the processes of those that run.
        reason: Why. Celery passes it over; this package shows it.
    """
    arguments = {"task_id": list(task_ids), "terminate": terminate, "signal": "SIGTERM"}
    return arguments | ({"reason": reason} if reason else {})
