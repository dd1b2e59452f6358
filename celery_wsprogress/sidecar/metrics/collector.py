"""The metrics collector: it makes the report of one process of a sidecar.

Nothing here is called for a delivery. Each connection counts its own writes. The collector takes
these counts over when a connection is closed, and a report adds those of the open connections.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from celery_wsprogress.protocol import close_codes
from celery_wsprogress.protocol.events import event_type
from celery_wsprogress.sidecar.metrics import definitions
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
    from celery_wsprogress.sidecar.metrics.latency import LatencyHistogram


class MetricsCollector:
    """Collects the metrics of this process.

    Runs in: the event loop.

    Args:
        hub: Counts events and operations.
        broker: The state of the connection to the broker.
        startup_replay: Whether the retained log has been read.
        connections: The open connections.
        latency: The histogram of delivery latencies.
        limits: Counts what was refused.
    """

    def __init__(
        self,
        hub: Hub,
        broker: BrokerStatus,
        startup_replay: StartupReplay,
        connections: Mapping[Session, ClientConnection],
        latency: LatencyHistogram,
        *,
        limits: ClientLimits,
    ) -> None:
        self.stopping = False
        """Whether the sidecar is shutting down."""
        self.refused_commands: Counter[str] = Counter()
        """Commands that were answered with an error, by its code."""
        self._hub = hub
        self._broker = broker
        self._startup_replay = startup_replay
        self._connections = connections
        self._latency = latency
        self._limits = limits
        self._opened = 0
        self._closed: Counter[str] = Counter()
        self._writes = 0
        self._bytes = 0

    def opened(self) -> None:
        """Count a new connection."""
        self._opened += 1

    def closed(self, connection: ClientConnection) -> None:
        """Count a closed connection, and take its counts over."""
        code = connection.first_close_code
        self._closed[str(code) if code in close_codes.KNOWN else "other"] += 1
        self._writes += connection.writer.sent_writes
        self._bytes += connection.writer.sent_bytes

    def report(self) -> dict[str, float]:
        """Return all samples of this process as of now."""
        broker, rebuilt, stopping = self._broker, self._startup_replay.done, self.stopping
        open_ones = self._connections.values()
        return {
            definitions.labelled("build_info", version=__version__): 1,
            "processes": 1,
            "broker_connected": int(broker.connected),
            **(
                {definitions.labelled("broker_error", text=broker.error): 1} if broker.error else {}
            ),
            "broker_lost_total": broker.reconnects,
            "rebuilt": int(rebuilt),
            "replayable": int(broker.replayable),
            "ready": int(broker.connected and rebuilt and not stopping),
            "stopping": int(stopping),
            **{
                definitions.labelled("events_by_type", type=event_type(kind)): count
                for kind, count in self._hub.events_read.items()
            },
            **self._hub.stats(),
            "connected_clients": len(open_ones),
            "connections_total": self._opened,
            **{
                definitions.labelled("closed_by_code", code=code): count
                for code, count in self._closed.items()
            },
            **{
                definitions.labelled("refused_by_limit", limit=limit): count
                for limit, count in self._limits.admission.refused.items()
            },
            **{
                definitions.labelled("refused_by_code", code=code): count
                for code, count in self.refused_commands.items()
            },
            "delayed_inputs_total": self._limits.turns.delayed,
            "sent_writes_total": self._writes + sum(one.writer.sent_writes for one in open_ones),
            "sent_bytes_total": self._bytes + sum(one.writer.sent_bytes for one in open_ones),
            **self._latency.samples(),
            **process_samples(),
        }
