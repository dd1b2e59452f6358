"""What one process of the sidecar has done so far, and how it stands: the figures of a report.

Nothing here is called for a delivery. A connection counts what it wrote by itself, and its counts
are taken over when it is gone; a report sums those of the connections that are open.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from celery_wsprogress.protocol import close_codes
from celery_wsprogress.protocol.events import event_type
from celery_wsprogress.sidecar.metrics import definitions
from celery_wsprogress.sidecar.metrics.process_stats import usage
from celery_wsprogress.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery_wsprogress.hub.hub import Hub
    from celery_wsprogress.hub.session import Session
    from celery_wsprogress.sidecar.connection import ProgressConnection
    from celery_wsprogress.sidecar.ingest.log_reader import Connection
    from celery_wsprogress.sidecar.ingest.startup_replay import StartupReplay
    from celery_wsprogress.sidecar.metrics.latency import LatencyHistogram


class MetricsCollector:
    """The figures of this process.

    Runs in: the event loop.

    Args:
        hub: What is known.
        broker: How the sidecar stands with the broker.
        rebuilding: How far it is with the retained log.
        connections: Those that are open.
        delays: How long events took to them.
    """

    def __init__(
        self,
        hub: Hub,
        broker: Connection,
        rebuilding: StartupReplay,
        connections: Mapping[Session, ProgressConnection],
        delays: LatencyHistogram,
    ) -> None:
        self.stopping = False
        """Whether clients are sent away."""
        self._hub = hub
        self._broker = broker
        self._rebuilding = rebuilding
        self._connections = connections
        self._delays = delays
        self._opened = 0
        self._closed: Counter[str] = Counter()
        self._writes = 0
        self._bytes = 0

    def opened(self) -> None:
        """A connection has been opened."""
        self._opened += 1

    def closed(self, connection: ProgressConnection) -> None:
        """A connection is gone."""
        code = connection.end_code
        self._closed[str(code) if code in close_codes.KNOWN else "other"] += 1
        self._writes += connection.writer.sent_writes
        self._bytes += connection.writer.sent_bytes

    def report(self) -> dict[str, float]:
        """Everything there is to report now."""
        broker, rebuilt, stopping = self._broker, self._rebuilding.done, self.stopping
        open_ones = self._connections.values()
        return {
            definitions.key("build_info", version=__version__): 1,
            "processes": 1,
            "broker_connected": int(broker.connected),
            **({definitions.key("broker_error", text=broker.error): 1} if broker.error else {}),
            "broker_lost_total": broker.reconnects,
            "rebuilt": int(rebuilt),
            "replayable": int(broker.replayable),
            "ready": int(broker.connected and rebuilt and not stopping),
            "stopping": int(stopping),
            **{
                definitions.key("events_by_type", type=event_type(kind)): count
                for kind, count in self._hub.events_read.items()
            },
            **self._hub.stats(),
            "connected_clients": len(open_ones),
            "connections_total": self._opened,
            **{
                definitions.key("closed_by_code", code=code): count
                for code, count in self._closed.items()
            },
            "sent_writes_total": self._writes + sum(one.writer.sent_writes for one in open_ones),
            "sent_bytes_total": self._bytes + sum(one.writer.sent_bytes for one in open_ones),
            **self._delays.figures(),
            **usage(),
        }
