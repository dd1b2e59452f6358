"""What is read is folded, unless it is too old to mean anything."""

from __future__ import annotations

import time

from support.conditions import eventually
from support.sample_events import status
from support.sidecars import SidecarThread

from celery_wsprogress.brokers import BrokerAddress, open_writer
from celery_wsprogress.protocol import batches

DAY = 86_400.0


def test_what_waited_for_a_sidecar_for_days_is_no_news(tmp_path, caplog):
    """On a broker without fanout all events go to one queue, whether a sidecar runs or not."""
    address = BrokerAddress(f"sqla+sqlite:///{tmp_path}/broker.db")
    writer = open_writer(address)
    for name, age in (("old", 2 * DAY), ("late", DAY / 2), ("older", 9 * DAY), ("new", 0.0)):
        at = time.time() - age
        event = batches.encode_event(
            status("started", run="r", at=at, operation_id=name, metadata={})
        )
        writer.publish(batches.join_batch(f"by-{name}", 1, [event], sent=at), confirm=True)
    with SidecarThread(address) as served:
        hub = served.sidecar.hub
        eventually(lambda: hub.get("new"))
        assert hub.get("late")["state"] == "running"
        assert hub.get("old") is hub.get("older") is None
    assert caplog.text.count("events that are more than a day old") == 1
