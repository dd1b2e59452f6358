"""Check that this process can write to the event log on the broker. Blocks for seconds at most."""

from __future__ import annotations

import logging
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from celery_wsprogress.brokers import find_fault, open_writer, prepare
from celery_wsprogress.brokers.transports import is_in_one_process
from celery_wsprogress.cli.checks.broker_errors import explain
from celery_wsprogress.cli.checks.findings import failed, ok, warning
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.protocol.batches import join_batch
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.cli.checks.findings import Finding

PART: Final = "broker"

_LOGGERS: Final = "celery_wsprogress.brokers"


def check_broker(address: BrokerAddress) -> list[Finding]:
    """Connect, declare the exchange and the log as a worker does, and write an empty batch.

    Returns:
        A failure alone, or warnings, or that all is well.
    """
    shown = masked(address.url)
    if is_in_one_process(address.url):
        advice = "Use a broker that other processes can reach, such as redis:// or amqp://"
        return [failed(PART, f"{shown} works within one process only", advice)]
    try:
        prepare(address)
        with _warnings_of_brokers() as warnings:
            _write_nothing(address)
            fault = find_fault(address)
    except ConfigurationError as exc:
        return [failed(PART, str(exc), "Correct broker_url, or wsprogress_url")]
    except Exception as exc:  # noqa: BLE001 - each client library has its own
        return [failed(PART, *explain(exc, shown, address.secrets))]
    if fault is not None and fault.is_fatal:
        return [failed(PART, f"{shown}: {fault.text}", fault.advice)]
    found = [warning(PART, text) for text in warnings]
    if fault is not None:
        found.append(warning(PART, f"{shown}: {fault.text}", fault.advice))
    return found or [ok(PART, f"{shown} takes events, exchange {address.exchange}")]


def _write_nothing(address: BrokerAddress) -> None:
    """Write a batch without events, which sidecars read and ignore: rights and room are needed."""
    writer = open_writer(address)
    try:
        writer.publish(join_batch(f"check-{uuid.uuid4()}", 1, []), confirm=True)
    finally:
        writer.close()


@contextmanager
def _warnings_of_brokers() -> Iterator[list[str]]:
    """Collect what a worker would log as a warning, such as of a server that evicts keys."""
    collector, loggers = _Collector(logging.WARNING), logging.getLogger(_LOGGERS)
    propagated, loggers.propagate = loggers.propagate, False
    loggers.addHandler(collector)
    try:
        yield collector.messages
    finally:
        loggers.removeHandler(collector)
        loggers.propagate = propagated


class _Collector(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
