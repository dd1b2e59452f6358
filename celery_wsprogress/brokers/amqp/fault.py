"""What keeps the log on RabbitMQ from being a stream of this package's own making.

For the command ``check``, behind :func:`celery_wsprogress.brokers.find_fault`: a worker publishes
all the same, so it says nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amqp.exceptions import AccessRefused  # type: ignore[import-untyped]

from celery_wsprogress.brokers import LogFault
from celery_wsprogress.brokers.amqp.connection import close_gracefully, connect
from celery_wsprogress.brokers.amqp.stream import arguments_of
from celery_wsprogress.brokers.amqp.stream_queue import StreamRefused, declare, name_log

if TYPE_CHECKING:
    from celery_wsprogress.brokers import BrokerAddress


def find_fault(address: BrokerAddress) -> LogFault | None:
    """Compare the log with what a writer would declare; to be called after one was open."""
    connection = connect(address)
    try:
        return _find(connection, address)
    finally:
        close_gracefully(connection)


def _find(connection: Any, address: BrokerAddress) -> LogFault | None:
    log = name_log(address.exchange)
    try:
        difference = declare(connection, log, arguments_of(address.log_bytes))
    except StreamRefused as exc:
        return _of_refusal(str(exc), log)
    except AccessRefused as exc:
        return _of_refusal(str(exc.reply_text), log)
    if not difference or "ACCESS_REFUSED" in difference:
        # Who may not declare a queue is not told how it differs.
        return None
    # The answer names only the first argument that differs, so the type is asked for alone.
    other_type = declare(connection, log, {})
    if "'x-queue-type'" in other_type:
        text = f"the queue {log} is no stream, so no sidecar can read it ({other_type})"
        return LogFault(text, f"Delete the queue {log}: it is declared again", is_fatal=True)
    advice = f"Delete the queue {log} to have it declared with the limits of today"
    return LogFault(f"the log has other limits, and keeps them ({difference})", advice)


def _of_refusal(answer: str, log: str) -> LogFault:
    text = f"it has no stream {log}, so events are live only: who comes late sees less ({answer})"
    if "ACCESS_REFUSED" in answer:
        return LogFault(text, f"Let this user configure {log} and its .epochs, or declare them")
    if "feature flag" in answer:
        return LogFault(text, "rabbitmqctl enable_feature_flag stream_queue")
    return LogFault(text, "Use RabbitMQ 3.9 or newer")
