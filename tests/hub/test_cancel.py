from __future__ import annotations

import json

import pytest
from support.deliveries import process
from support.frames import decoded
from support.sample_events import completed, error, plan, progress, queued, status
from support.tokens import NOW, guarded, token

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub import commands
from celery_wsprogress.hub.cancel import MAX_REASON_LENGTH
from celery_wsprogress.hub.cancel_request import CancelOutcome, CancelRequest, CancelSending
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.session import Session
from celery_wsprogress.protocol.batches import Batch


class Client:
    """A client of a hub with operations in several states, and what it has cancelled."""

    def __init__(self, permit, outcome=CancelOutcome.SENT):
        self.hub = Hub()
        events = (
            queued(operation_id="waits", publication="a", tags=["red"]),
            status("started", operation_id="runs", run="b", worker="w@host", tags=["red"]),
            status("started", operation_id="alone", run="c"),
            completed(operation_id="done", run="d"),
        )
        process(self.hub, Batch("w", 1, events), epoch="e", position="1", now=NOW)
        self.batches = 1
        self.session = Session(1, permit)
        self.outcome = outcome
        self.requests = []

    def write(self, *events):
        self.batches += 1
        batch = Batch("w", self.batches, events)
        process(self.hub, batch, epoch="e", position=str(self.batches), now=NOW)

    def canceller(self, request):
        self.requests.append(request)
        self.sending = CancelSending()
        return self.sending

    def steps(self, **fields):
        return commands.execute(
            json.dumps({"command": "cancel", **fields}),
            self.session,
            self.hub,
            timestamp=NOW,
            max_subscriptions=1,
            stats=dict,
            replayable=True,
            canceller=self.canceller,
        )

    def cancel(self, **fields):
        """The reply, once the outcome is known."""
        for _ in self.steps(**fields):
            assert not self.session.replies
            self.sending.outcome = self.outcome
        return self.reply()

    def reply(self):
        [reply] = decoded(self.session.take(10**9, 200.0, 0.0))
        return {name: value for name, value in reply.items() if name not in {"event_type", "data"}}


@pytest.fixture
def client():
    return Client(Permit(None, cancels_unverified=True))


@pytest.mark.parametrize("operation_id", ["waits", "runs", "nobody-has-heard-of-it"])
def test_it_is_accepted_once_it_is_sent(client, operation_id):
    reply = client.cancel(operation_id=operation_id)
    assert reply == {"status": "accepted", "operation_id": operation_id}
    assert client.requests == [CancelRequest((operation_id,), False, "")]


def test_it_is_sent_as_it_was_asked(client):
    client.cancel(operation_id="runs", terminate=True, reason="wrong file")
    assert client.requests == [CancelRequest(("runs",), True, "wrong file")]


def test_what_has_ended_is_not_cancelled(client):
    reply = client.cancel(operation_id="done")
    assert reply == {"status": "ended", "operation_id": "done", "state": "completed"}
    assert client.requests == []


def test_what_no_worker_runs_is_not_supported(client):
    assert client.cancel(operation_id="alone")["code"] == "not_supported"
    assert client.requests == []


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (CancelOutcome.UNAVAILABLE, "unavailable"),
        (CancelOutcome.NOT_SUPPORTED, "not_supported"),
    ],
)
def test_what_cannot_be_sent_is_an_error(client, outcome, code):
    client.outcome = outcome
    assert client.cancel(operation_id="runs")["code"] == code


def test_a_server_that_reaches_no_worker_says_so(client):
    client.canceller = None
    assert client.cancel(operation_id="runs")["code"] == "not_supported"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"operation_id": 7},
        {"operation_id": "x" * 2_000},
        {"operation_id": "runs", "terminate": "yes"},
        {"operation_id": "runs", "reason": 7},
        {"operation_id": "runs", "reason": "x" * (MAX_REASON_LENGTH + 1)},
    ],
)
def test_what_makes_no_sense(client, fields):
    assert client.cancel(**fields)["code"] == "invalid_command"
    assert client.requests == []


@pytest.mark.parametrize("fields", [{"terminate": None, "reason": None}, {"reason": "x" * 200}])
def test_what_does(client, fields):
    assert client.cancel(operation_id="runs", **fields)["status"] == "accepted"


@pytest.mark.parametrize(
    "permit",
    [
        Permit(None),
        Permit(None, cancels_unverified=True, exact_only=True),
        Permit(None, cancels_unverified=True, untrusted=True),
    ],
)
def test_where_no_token_is_needed_it_must_be_allowed(permit):
    client = Client(permit)
    reply = client.cancel(operation_id="runs")
    assert reply["code"] == "forbidden"
    assert "--allow-cancel" in reply["error"]
    assert client.requests == []


@pytest.mark.parametrize(
    ("claims", "granted"),
    [
        ({"ops": ["*"]}, []),
        ({"ops": ["*"], "can": ["cancel"]}, ["runs", "waits", "unknown"]),
        ({"ops": ["id:runs"], "can": ["watch", "cancel"]}, ["runs"]),
        ({"ops": ["id:unknown"], "can": ["cancel"]}, ["unknown"]),
        ({"ops": ["tag:red"], "can": ["cancel"]}, ["runs", "waits"]),
    ],
)
def test_a_token_must_grant_it_for_the_operation(claims, granted):
    found = []
    for operation_id in ("runs", "waits", "unknown"):
        client = Client(guarded(cancels_unverified=True))
        client.session.permit.add(token(**{"ids": None, **claims}), timestamp=NOW)
        reply = client.cancel(operation_id=operation_id)
        if "error" not in reply:
            found.append(operation_id)
        else:
            assert reply["code"] == "forbidden"
    assert found == granted


def test_without_a_token_one_is_asked_for():
    assert Client(guarded()).cancel(operation_id="runs")["code"] == "unauthorized"


def run_of(name):
    return status("started", operation_id=name, run=f"run-{name}", worker="w@host")


def test_what_crosses_a_cancel_brings_nothing_back(client):
    client.write(error("cancelled", operation_id="runs", run="b", status="cancelled"))
    client.write(
        progress(0.9, operation_id="runs", run="b"),
        status("cancelling", operation_id="runs", run="b"),
        status("started", operation_id="runs", run="b", worker="w@host"),
    )
    assert client.hub.get("runs")["state"] == "cancelled"
    assert client.cancel(operation_id="runs")["state"] == "cancelled"


def test_of_a_workflow_all_that_has_not_ended_is_cancelled(client):
    """A step that is not sent yet has its id in the plan."""
    client.write(plan(), run_of("a"), completed(operation_id="a", run="run-a"), run_of("b"))
    for fields in ({"workflow_id": "c"}, {"operation_id": "workflow:c"}):
        reply = client.cancel(**fields, reason="wrong file")
        assert reply == {"status": "accepted", "operation_id": "workflow:c"}
    assert client.requests == [CancelRequest(("b", "c"), False, "wrong file")] * 2


def test_a_workflow_that_has_ended_is_not_cancelled(client):
    for name in "abc":
        client.write(
            *([plan()] if name == "a" else []),
            run_of(name),
            completed(operation_id=name, run=f"run-{name}"),
        )
    assert client.cancel(workflow_id="c")["status"] == "ended"
    assert client.requests == []


def test_a_task_alone_is_a_workflow_of_one(client):
    assert client.cancel(workflow_id="runs")["status"] == "accepted"
    assert client.requests == [CancelRequest(("runs",), False, "")]


def test_an_unknown_workflow_is_not_supported(client):
    assert client.cancel(workflow_id="nobody-has-heard-of-it")["code"] == "not_supported"


@pytest.mark.parametrize(
    ("ops", "granted"),
    [("workflow:c", True), ("*", True), ("id:c", False), ("id:b", False), ("workflow:d", False)],
)
def test_a_token_must_grant_all_of_a_workflow(ops, granted):
    client = Client(guarded())
    client.write(plan())
    made = token(ids=None, ops=[ops], can=["cancel"])
    client.session.permit.add(made, timestamp=NOW)
    assert ("error" not in client.cancel(workflow_id="c")) is granted
