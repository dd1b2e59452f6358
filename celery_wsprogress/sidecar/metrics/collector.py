"""The metrics collector: it makes the report of one process of a sidecar.

Nothing here is called for a delivery. Each connection counts its own writes. The collector takes
these counts over when a connection is closed, and a report adds those of the open connections.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.protocol import close_codes
from celery_wsprogress.protocol.events import event_type
from celery_wsprogress.sidecar.metrics import definitions
from celery_wsprogress.sidecar.metrics.command_costs import CommandCosts
from celery_wsprogress.sidecar.metrics.process_stats import process_samples
from celery_wsprogress.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery_wsprogress.hub.hub import Hub
    from celery_wsprogress.hub.session import Session
    from celery_wsprogress.sidecar.client_connection import ClientConnection
    from celery_wsprogress.sidecar.ingest.log_reader import BrokerStatus
    from celery_wsprogress.sidecar.ingest.startup_replay import StartupReplay
    from celery_wsprogress.sidecar.limits.client_limits import ClientLimits
    from celery_wsprogress.sidecar.metrics.latency import Latencies

_RESUMES: Final = {"yes": "recovered", "no": "not_recovered"}
"""The counts of the hub behind the label ``recovered``."""


class MetricsCollector:
    """Collects the metrics of this process.

    Runs in: the event loop.

    Args:
        hub: Counts events and operations.
        broker: The state of the connection to the broker.
        startup_replay: Whether the retained log has been read.
        connections: The open connections.
        latencies: The histograms of deliveries, of reading the log, and of the event loop.
        limits: Counts what was refused.
    """

    def __init__(
        self,
        hub: Hub,
        broker: BrokerStatus,
        startup_replay: StartupReplay,
        connections: Mapping[Session, ClientConnection],
        latencies: Latencies,
        *,
        limits: ClientLimits,
    ) -> None:
        self.stopping = False
        """Whether the sidecar is shutting down."""
        self.refused_commands: Counter[str] = Counter()
        """Commands that were answered with an error, by its code."""
        self.commands = CommandCosts()
        """Commands that were answered, and their cost."""
        self._hub = hub
        self._broker = broker
        self._startup_replay = startup_replay
        self._connections = connections
        self._latencies = latencies
        self._limits = limits
        self._opened = 0
        self._closed: Counter[str] = Counter()
        self._writes = 0
        self._bytes = 0
        self._snapshots = 0

    def opened(self) -> None:
        """Count a new connection."""
        self._opened += 1

    def closed(self, connection: ClientConnection) -> None:
        """Count a closed connection, and take its counts over."""
        code = connection.first_close_code
        self._closed[str(code) if code in close_codes.KNOWN else "other"] += 1
        self._writes += connection.writer.sent_writes
        self._bytes += connection.writer.sent_bytes
        self._snapshots += 0 if connection.session is None else connection.session.snapshots

    async def sleep(self, seconds: float) -> float:
        """Sleep, and count how late the event loop ends that.

        Returns:
            Seconds of the monotonic clock.
        """
        due = time.monotonic() + seconds
        await asyncio.sleep(seconds)
        now = time.monotonic()
        self._latencies.loop.observe(now - due)
        return now

    def report(self) -> dict[str, float]:
        """Return all samples of this process as of now."""
        return {
            definitions.labelled("build_info", version=__version__): 1,
            "processes": 1,
            **self._of_broker(),
            **self._of_log(),
            **self._of_operations(),
            **self._hub.stats(),
            **self._of_connections(),
            **self._of_commands(),
            **self._latencies.delivery.samples(),
            **self._latencies.read.samples(),
            **self._latencies.loop.samples(),
            **process_samples(),
        }

    def _of_broker(self) -> dict[str, float]:
        broker, rebuilt, stopping = self._broker, self._startup_replay.done, self.stopping
        return {
            "broker_connected": int(broker.connected),
            **(
                {definitions.labelled("broker_error", text=broker.error): 1} if broker.error else {}
            ),
            "broker_lost_total": broker.reconnects,
            "rebuilt": int(rebuilt),
            "replayable": int(broker.replayable),
            "ready": int(broker.connected and rebuilt and not stopping),
            "stopping": int(stopping),
        }

    def _of_log(self) -> dict[str, float]:
        hub, deliveries = self._hub, self._hub.deliveries
        return {
            **_by("events_by_type", "type", _named(hub.events_read)),
            **_by("told_by_type", "type", _named(deliveries.appended)),
            "conflated_total": deliveries.conflated,
            "read_bytes_total": hub.counts["bytes"],
        }

    def _of_operations(self) -> dict[str, float]:
        store = self._hub.store
        return {
            **_by("held_by_state", "state", {one.value: n for one, n in store.held.items()}),
            **_by("ended_by_state", "state", {one.value: n for one, n in store.ended.items()}),
        }

    def _of_connections(self) -> dict[str, float]:
        sessions, open_ones = self._connections.keys(), self._connections.values()
        counts = self._hub.counts
        return {
            "connected_clients": len(open_ones),
            "connections_total": self._opened,
            **_by("closed_by_code", "code", self._closed),
            **_by("refused_by_limit", "limit", self._limits.admission.refused),
            "delayed_inputs_total": self._limits.turns.delayed,
            **_by("resumes", "recovered", {word: counts[one] for word, one in _RESUMES.items()}),
            "snapshots_total": self._snapshots + sum(one.snapshots for one in sessions),
            "deliveries_total": self._hub.deliveries.to_sessions,
            "sent_writes_total": self._writes + sum(one.writer.sent_writes for one in open_ones),
            "sent_bytes_total": self._bytes + sum(one.writer.sent_bytes for one in open_ones),
        }

    def _of_commands(self) -> dict[str, float]:
        return {
            **_by("commands_by_name", "command", self.commands.counts),
            **_by("command_seconds", "command", self.commands.seconds),
            **_by("refused_by_code", "code", self.refused_commands),
        }


def _named(counts: Mapping[type[Any], int]) -> dict[str, int]:
    return {event_type(kind): number for kind, number in counts.items()}


def _by(sample: str, label: str, numbers: Mapping[str, float]) -> dict[str, float]:
    """Return a sample for each value of a label."""
    return {
        definitions.labelled(sample, **{label: value}): number for value, number in numbers.items()
    }
