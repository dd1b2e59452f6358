"""Events and snapshots: dictionaries with attributes."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from celery_wsprogress import EventType, Operation, WebSocketEvent

FRAME = {
    "event_type": "progress",
    "operation_id": "a",
    "timestamp": 1.5,
    "data": {"progress": 0.5, "message": "", "details": {}},
    "event_id": "e.1",
    "run": "r",
    "newer": 7,
}


def test_an_event_has_its_fields_as_attributes_and_is_still_the_frame():
    event = WebSocketEvent(FRAME)
    assert event.event_type is EventType.PROGRESS
    assert (event.operation_id, event.timestamp, event.run) == ("a", 1.5, "r")
    assert event.data["progress"] == 0.5
    assert event.newer == 7
    assert event.operation is None
    assert event == FRAME == json.loads(json.dumps(event))
    assert repr(event).startswith("WebSocketEvent({'event_type': ")


def test_an_event_can_be_made_by_its_fields():
    event = WebSocketEvent(event_type=EventType.LOG, operation_id="a", timestamp=1.0, data={})
    assert event == {"event_type": "log", "operation_id": "a", "timestamp": 1.0, "data": {}}


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))]
)
def test_an_event_can_be_copied(duplicate):
    event = duplicate(WebSocketEvent(FRAME))
    assert type(event) is WebSocketEvent
    assert event == FRAME
    assert event.event_type is EventType.PROGRESS


def test_an_unknown_type_stays_a_text():
    event = WebSocketEvent(event_type="dance", operation_id="a", data={})
    assert event.event_type == "dance"
    assert not event.is_end


@pytest.mark.parametrize("kind", EventType)
def test_the_types_are_the_words_of_the_protocol(kind):
    event = WebSocketEvent(event_type=str(kind))
    assert event.event_type is kind
    assert f"{kind}" == kind.value == kind
    assert event.is_end == (kind in {"completed", "error"})


def test_what_is_no_field_is_no_attribute():
    for made in (WebSocketEvent(FRAME), Operation()):
        with pytest.raises(
            AttributeError, match=f"'{type(made).__name__}' object has no .*'dance'"
        ):
            made.dance  # noqa: B018
        assert not hasattr(made, "__html__")


def test_an_operation_has_its_fields_as_attributes():
    operation = Operation({"operation_id": "a", "state": "running", "progress": 0.5})
    assert (operation.operation_id, operation.state, operation.progress) == ("a", "running", 0.5)
    assert operation.finished_at is None
