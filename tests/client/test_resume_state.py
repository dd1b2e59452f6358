from __future__ import annotations

import json

import pytest

from celery_wsprogress.client import resume_state
from celery_wsprogress.client.resume_state import ResumeState, chunks
from celery_wsprogress.protocol.messages import MAX_COMMAND_BYTES


def event(event_id, kind="log", *, operation_id="a", run="r1", at=0.0):
    return {
        "event_type": kind,
        "operation_id": operation_id,
        "event_id": event_id,
        "run": run,
        "timestamp": at,
        "data": {},
    }


def test_an_event_is_taken_once():
    known = ResumeState()
    assert known.is_new(event("e.1"))
    assert not known.is_new(event("e.1"))
    assert known.is_new(event("e.2"))


def test_what_has_no_id_is_always_taken():
    known = ResumeState()
    assert known.is_new({"event_type": "log", "data": {}})
    assert known.is_new({"event_type": "log", "data": {}})


def test_a_new_connection_goes_on_behind_the_last_event():
    known = ResumeState()
    known.add(["a", "b"])
    known.is_new(event("e.1"))
    known.is_new(event("e.2"))
    assert list(known.resume()) == [
        {"command": "subscribe", "operation_ids": ["a", "b"], "since": {"a": "e.2"}}
    ]


def test_what_is_not_watched_any_more_is_not_asked_for():
    known = ResumeState()
    known.add(["a"])
    known.is_new(event("e.1"))
    known.remove(["a"])
    assert list(known.resume()) == []


def test_everything_goes_on_where_it_had_not_ended():
    known = ResumeState()
    known.add(["*"])
    known.is_new(event("e.1", operation_id="runs"))
    known.is_new(event("e.2", "completed", operation_id="ended"))
    assert list(known.resume()) == [
        {"command": "subscribe", "operation_ids": ["runs"], "since": {"runs": "e.1"}},
        {"command": "subscribe", "operation_id": "*"},
        {"command": "unsubscribe", "operation_ids": ["runs"]},
    ]


def test_many_ids_fit_into_commands():
    known = ResumeState()
    ids = [f"{number:036}" for number in range(2_000)]
    known.add(ids)
    for one in ids:
        known.is_new(event(f"0123abcd.1735734005456-0.{one}", operation_id=one))
    commands = list(known.resume())
    assert [one for command in commands for one in command["operation_ids"]] == ids
    assert len(commands) < 40
    assert max(len(json.dumps(one)) for one in commands) < MAX_COMMAND_BYTES - 1_000


@pytest.mark.parametrize("one", ["x" * 1_000, "\N{GRINNING FACE}" * 1_000])
def test_long_ids_go_by_themselves(one):
    assert [one for some in chunks([one, "b"]) for one in some] == [one, "b"]


def test_it_does_not_grow_for_ever(monkeypatch):
    monkeypatch.setattr(resume_state, "MAX_SEEN", 10)
    monkeypatch.setattr(resume_state, "MAX_KNOWN", 10)
    known = ResumeState()
    known.add(["*", "kept"])
    known.is_new(event("first", operation_id="kept"))
    for number in range(100):
        known.is_new(event(f"e.{number}", operation_id=f"op-{number}"))
    assert len(known._seen) == 10
    assert len(known._progress) <= 12
    assert next(iter(known.resume()))["since"] == {"kept": "first"}


def test_a_watch_begins_anew():
    state = ResumeState()
    event = {"event_type": "log", "operation_id": "a", "event_id": "e.1"}
    assert [state.is_new(event) for _ in range(2)] == [True, False]
    for _ in range(2):
        state.add_watch("a")
        assert [*state.resume()] == [{"command": "subscribe", "operation_ids": ["a"]}]
        assert [state.is_new(event) for _ in range(2)] == [True, False]
        [resumed] = state.resume()
        assert resumed["since"] == {"a": "e.1"}
        state.remove(["a"])
