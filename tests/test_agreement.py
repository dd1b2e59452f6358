"""Frames and snapshots agree: who only applies what is delivered knows what a snapshot says."""

from __future__ import annotations

from hypothesis import example, given
from support.sample_events import OPERATION, doubted_logs, logs, progress, queued, status

from celery_wsprogress.operations.operation import Operation
from celery_wsprogress.operations.snapshot import snapshot_of
from celery_wsprogress.operations.states import Verdict
from celery_wsprogress.protocol.events import Completed, Error, Progress, Status, none_if_unset

STATES = {"queued", "scheduled", "received", "retrying", "replaced"}
WAITS = STATES - {"replaced"}


class Reader:
    """What a client knows that goes by the last frame of each kind, and by nothing else."""

    def __init__(self):
        self.known = {"status": None, "state": None, "progress": 0.0, "attempt": None}
        self.known |= {"error": None, "error_type": None, "starts_at": None, "max_attempts": None}

    def apply(self, event):
        if isinstance(event, Status):
            self._status(event.data)
        elif isinstance(event, Progress):
            self.known |= {"progress": event.data.progress, "state": "running", "starts_at": None}
        elif isinstance(event, Completed):
            self.known |= {"status": "completed", "state": "completed", "progress": 1.0}
            self.known["starts_at"] = None
        elif isinstance(event, Error):
            state = "cancelled" if event.data.status == "cancelled" else "error"
            self.known |= {"status": "error", "state": state, "starts_at": None}
            self.known |= {"error": event.data.error, "error_type": event.data.error_type}

    def _status(self, data):
        self.known["status"] = "running" if data.status == "started" else data.status
        if data.status in STATES:
            self.known["state"] = data.status
            if data.status in WAITS:
                self.known["starts_at"] = none_if_unset(data.starts_at)
        elif data.status == "started":
            # A run begins anew; what takes the place of another one begins where that was.
            is_successor = self.known["state"] == "replaced"
            self.known |= {} if is_successor else {"progress": 0.0}
            self.known |= {"error": None, "error_type": None}
            self.known |= {"state": "running", "starts_at": None}
        if isinstance(data.attempt, int):
            self.known["attempt"] = data.attempt
        if data.status == "retrying":
            self.known["max_attempts"] = none_if_unset(data.max_attempts)


def check(events):
    operation, reader = Operation(OPERATION, first_seen_at=0.0), Reader()
    for event in events:
        verdict, delivered = operation.fold(event)
        if verdict is Verdict.DELIVER:
            reader.apply(delivered)
        shown = snapshot_of(operation)
        assert {name: shown[name] for name in SHOWN} == {name: reader.known[name] for name in SHOWN}


SHOWN = (
    "status", "state", "progress", "attempt", "max_attempts", "starts_at", "error", "error_type",
)  # fmt: skip

RETRY_RECEIVED_EARLY = [
    queued(),
    status("started", metadata={}),
    progress(0.5),
    status("received", run="r2", publication="p2"),
    status("retrying", publication=""),
]


@given(logs())
@example(RETRY_RECEIVED_EARLY)
@example([*RETRY_RECEIVED_EARLY[:3], RETRY_RECEIVED_EARLY[4], RETRY_RECEIVED_EARLY[3]])
def test_the_last_status_frame_is_the_snapshots(events):
    check(events)


@given(doubted_logs())
def test_so_it_is_where_sidecars_have_concluded_something(events):
    check(events)
