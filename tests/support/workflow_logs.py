"""A log with workflows, written to a hub."""

from __future__ import annotations

import msgspec

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.protocol.batches import Batch
from celery_wsprogress.protocol.frames import payload_of
from support.canvases import Running
from support.deliveries import process
from support.hub_clients import HubClient
from support.sample_events import completed, error, plan, progress, queued, status


class WorkflowLog:
    """A log that is written to a hub, one event a batch."""

    def __init__(self, hub=None):
        self.hub = hub or Hub()
        self.position = 0

    def write(self, *events, now=100.0):
        for event in events:
            self.position += 1
            batch = Batch("w", self.position, [event])
            process(self.hub, batch, epoch="e", position=str(self.position), now=now)

    def run(self, *task_ids, at=1.0, fraction=None):
        """Have tasks run to their successful end."""
        for one in task_ids:
            self.start(one, at=at)
            if fraction is not None:
                self.write(progress(fraction, operation_id=one, at=at))
            self.write(completed(operation_id=one, run=f"run-{one}", at=at))

    def start(self, task_id, at=1.0, **more):
        self.write(
            queued(operation_id=task_id, publication=f"p-{task_id}", at=at, **more),
            started(task_id, at=at, **more),
        )

    def events(self, operation_id="workflow:c"):
        """What a client would be sent, from the first event on."""
        record = self.hub.store.get(operation_id)
        return [msgspec.json.decode(payload_of(one.frame)) for one in record.history.after(0)]

    def said(self, operation_id="workflow:c"):
        return [
            one["data"].get("status") or round(one["data"].get("progress", -1), 4)
            for one in self.events(operation_id)
        ]

    def snapshot(self, operation_id="workflow:c"):
        return self.hub.get(operation_id)


def started(task_id, at=1.0, **more):
    publication = f"p-{task_id}"
    run = f"run-{task_id}"
    return status("started", operation_id=task_id, run=run, publication=publication, at=at, **more)


class WorkflowClient:
    """A client of a hub that reads JSON; with all rights by default."""

    def __init__(self, hub, permit=None):
        self._client = HubClient(hub, permit or Permit(None))

    def ask(self, command, **fields):
        """Send a command, and return the reply."""
        return self.send(command, **fields)[0]

    def send(self, command, **fields):
        """Send a command, and return the reply and the events behind it."""
        return [msgspec.json.decode(one) for one in self._client.ask(command, **fields)]

    def read(self):
        """Return what the client is sent now."""
        return [msgspec.json.decode(one) for one in self._client.read(200.0)]


def write_life(log, canvas, failing, choose):
    """Have a hub read how a canvas runs; yield after each event of a task."""
    running = Running(canvas, failing)
    nodes = canvas.plan_nodes()
    log.write(plan(*nodes, held=canvas.held))
    begun = set()
    while ready := running.ready():
        one = choose(ready)
        if one not in begun:
            begun.add(one)
            log.start(one)
        elif choose([False, True]):
            log.write(progress(choose([0.2, 0.5, 0.9]), operation_id=one, run=f"run-{one}"))
        else:
            end = error if one in failing else completed
            log.write(end(operation_id=one, run=f"run-{one}"))
            running.end(one)
        yield running
