"""The AsyncAPI document is made from the code, and what it describes is what a hub says.

Frames of real sidecars are held against it wherever tests connect by ``support.wire_document``.
"""

from __future__ import annotations

import importlib
import json
import re
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest
from support.deliveries import process
from support.hub_clients import HubClient
from support.sample_events import completed, progress, status
from support.transcripts import transcript
from support.wire_document import COMMANDS, DOCS, Conversation, check, check_event, connect
from websockets.sync.server import serve

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub import commands
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.operations.states import State
from celery_wsprogress.protocol.batches import Batch

ROOT = Path(__file__).parents[1]
LIVES = transcript("lives")
PROGRESS = next(one for life in LIVES for one in life["frames"] if one["event_type"] == "progress")


def test_it_has_every_command_every_state_and_every_code_of_an_error(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    shapes = importlib.import_module("wire_shapes")
    assert commands.COMMANDS.keys() == COMMANDS
    assert set(shapes.State.__args__) == {str(one) for one in State}
    [told] = re.findall(r"Codes:\n(.*?)\. A frame", wire_protocol(), re.DOTALL)
    assert set(shapes.Code.__args__) == set(re.findall(r"`([a-z_]+)`", told))


def wire_protocol():
    return (DOCS / "reference" / "wire-protocol.md").read_text()


@pytest.mark.parametrize("life", LIVES, ids=lambda life: life["name"])
def test_the_frames_and_snapshots_of_the_transcripts_are_described(life):
    for frame in life["frames"]:
        check_event(frame)
    snapshot = {"event_type": "snapshot", "data": {}, "missed": None, "timestamp": 0.0}
    if life["snapshot"]:
        snapshot |= {"operation": life["snapshot"]}
        check_event({**snapshot, "operation_id": life["snapshot"]["operation_id"]})


def test_the_commands_of_the_transcripts_are_described():
    steps = [step for case in transcript("memory") for step in case["steps"]]
    asked = [one for step in steps for one in step.get("resume", ())]
    assert asked
    for one in asked:
        check(one["command"], one)


@pytest.mark.parametrize(
    "wrong",
    [
        {"event_type": "progresses"},
        {"timestamp": "now"},
        {"operation_id": None},
        {"event_id": 7},
        {"publication": "p"},
        {"data": {"progress": 1.5, "message": "", "details": {}}},
        {"data": {"progress": 0.5, "message": None, "details": {}}},
        {"data": {"progress": 0.5, "message": "", "details": {}, "percent": 50}},
        {"data": {"progress": 0.5, "message": ""}},
    ],
)
def test_a_wrong_event_fails(wrong):
    check_event(PROGRESS)
    with pytest.raises(AssertionError, match=r"asyncapi\.json"):
        check_event(PROGRESS | wrong)


@contextmanager
def sidecar_that_says(*frames):
    """A server that is none of ours."""
    with serve(lambda websocket: [websocket.send(one) for one in frames], "localhost", 0) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"ws://localhost:{server.socket.getsockname()[1]}"


def test_a_test_fails_that_receives_a_wrong_frame():
    wrong = PROGRESS | {"data": {}}
    with (
        sidecar_that_says(json.dumps(PROGRESS), json.dumps(wrong)) as url,
        connect(url) as websocket,
    ):
        assert json.loads(websocket.recv()) == PROGRESS
        with pytest.raises(AssertionError, match="no progress of"):
            websocket.recv()


TAKEN = [
    {"command": "subscribe", "operation_id": "op-1", "resync": True, "max_rate": 1},
    {"command": "subscribe", "operation_ids": ["op-1", "op-2"], "since": {"op-1": "e.1-0.0"}},
    {"command": "subscribe", "workflow_id": "w", "replay": "none", "since": None},
    {"command": "subscribe", "tag": "nightly", "request_id": 7},
    {"command": "unsubscribe", "tag": "nightly"},
    {"command": "unsubscribe", "operation_ids": ["op-1"]},
    {"command": "get_operation", "operation_id": "op-1"},
    {"command": "get_operation", "operation_id": "unknown", "request_id": "a"},
    {"command": "list_operations", "state": "completed", "limit": 10},
    {"command": "get_history", "operation_id": "op-1"},
    {"command": "get_tree", "workflow_id": "op-1"},
    {"command": "get_stats"},
    {"command": "ping"},
]
REFUSED = [
    {"command": "subscribe"},
    {"command": "subscribe", "operation_id": 7},
    {"command": "subscribe", "operation_ids": [""]},
    {"command": "subscribe", "operation_id": "op-1", "replay": "some"},
    {"command": "subscribe", "operation_id": "op-1", "max_rate": 0},
    {"command": "list_operations", "limit": 0},
    {"command": "list_operations", "state": "done"},
    {"command": "get_history", "operation_id": "op-1", "limit": "all"},
    {"command": "get_tree"},
    {"command": "cancel", "operation_id": "op-1", "reason": "r" * 201},
    {"command": "nonsense"},
    {"command": None},
    ["ping"],
]


@pytest.fixture
def ask():
    """Ask a hub that knows an operation; the replies are held against the document."""
    hub, conversation = Hub(), Conversation()
    started = status("started", operation_type="t", metadata={})
    events = (started, progress(0.5), completed(duration=1.0))
    process(hub, Batch("w", 1, events), epoch="e", position="1-0", now=0.0)
    client = HubClient(hub, Permit(None))

    def ask(value):
        text = json.dumps(value)
        conversation.sent(text)
        frames = client.send(text)
        for frame in frames:
            conversation.received(frame)
        return json.loads(frames[0])

    return ask


@pytest.mark.parametrize("command", TAKEN, ids=json.dumps)
def test_a_command_that_it_describes_is_taken(ask, command):
    check(command["command"], command)
    assert "error" not in ask(command)


@pytest.mark.parametrize("command", REFUSED, ids=json.dumps)
def test_a_command_that_it_does_not_describe_is_refused(ask, command):
    with pytest.raises((AssertionError, KeyError, TypeError)):
        check(command["command"], command)
    assert ask(command)["error"]
