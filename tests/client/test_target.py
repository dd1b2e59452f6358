"""What can be watched, and where."""

from __future__ import annotations

import pytest
from celery import Celery, group
from celery.result import AsyncResult, GroupResult, ResultSet

from celery_wsprogress import WebSocketEvent
from celery_wsprogress.client.target import operation_id_of, token_for, url_or_default
from celery_wsprogress.started import Started

APP = Celery("targets", broker="memory://", backend="cache+memory://", set_as_current=False)
ONE = AsyncResult("a", app=APP)
GROUP = GroupResult("g", [ONE], app=APP)


@pytest.mark.parametrize(
    ("target", "workflow", "expected"),
    [
        ("a", None, "a"),
        ("a", True, "workflow:a"),
        ("workflow:a", None, "workflow:a"),
        ("workflow:a", True, "workflow:a"),
        (ONE, None, "a"),
        (ONE, True, "workflow:a"),
        (GROUP, None, "workflow:g"),
        (GROUP, False, "g"),
        (Started(GROUP, is_workflow=True, token=None), None, "workflow:g"),
        (Started(ONE, is_workflow=True, token=None), None, "workflow:a"),
        (Started(ONE, is_workflow=False, token=None), None, "a"),
        (Started(ONE, is_workflow=False, token=None), True, "workflow:a"),
        (WebSocketEvent(event_type="log", operation_id="a"), None, "a"),
    ],
)
def test_the_id_of_what_is_watched(target, workflow, expected):
    assert operation_id_of(target, workflow) == expected


@pytest.mark.parametrize("target", [7, None, ResultSet([ONE], app=APP), group()])
def test_what_has_no_id_is_refused_with_what_has_one(target):
    with pytest.raises(TypeError, match=r"AsyncResult, a GroupResult, or what .*start\(\)"):
        operation_id_of(target)


@pytest.mark.parametrize("target", ["", "*"])
def test_one_operation_is_watched(target):
    with pytest.raises(ValueError, match="not the id of one operation"):
        operation_id_of(target)


def test_the_address_and_the_token_that_are_given_come_first(monkeypatch):
    started = Started(ONE, is_workflow=False, token="its own")
    monkeypatch.delenv("WSPROGRESS_WS_URL", raising=False)
    monkeypatch.delenv("WSPROGRESS_TOKEN", raising=False)
    assert url_or_default(None) == "ws://localhost:8765"
    assert token_for("a", None) is None
    monkeypatch.setenv("WSPROGRESS_WS_URL", "ws://elsewhere:1")
    monkeypatch.setenv("WSPROGRESS_TOKEN", "of the environment")
    assert url_or_default(None) == "ws://elsewhere:1"
    assert url_or_default("ws://here:1") == "ws://here:1"
    assert token_for(ONE, None) == "of the environment"
    assert token_for(started, None) == "its own"
    assert token_for(started, "given") == "given"
