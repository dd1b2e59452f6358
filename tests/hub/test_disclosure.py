"""Who has a narrow view, or may watch by exact id only, is shown nothing else, on any way."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.deliveries import deliver, process
from support.hub_clients import HubClient
from support.sample_events import (
    completed,
    error,
    log,
    progress,
    queued,
    result,
    status,
    unstarted,
)
from support.tokens import NOW

from celery_wsprogress.access.grants import Grant, Pattern, PatternKind, Right, View
from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.access.tokens import TokenVerifier
from celery_wsprogress.hub import disclosure
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.operations.history import MAX_ENTRIES
from celery_wsprogress.protocol.batches import Batch

CANARY = "canary-4711"
SECRET = {"secret": [CANARY]}

EVENTS = {
    "queued": queued(group_id="family", root_id="family", parent_id="family", tags=["tag"]),
    "started": status("started", metadata=SECRET, details=SECRET),
    "own": status("Indexing", message="shown", details=SECRET),
    "progress": progress(0.5, message="shown", details=SECRET),
    "log": log(CANARY),
    "retrying": status("retrying", message=f"ValueError: {CANARY}", details=SECRET),
    "result": result(CANARY),
    "completed": completed(),
    "error": error(CANARY),
}


def permit(view=View.PROGRESS):
    made = Permit(TokenVerifier())
    grant = Grant(
        frozenset({Pattern(PatternKind.ID, "op-1")}), float("inf"), frozenset(Right), view=view
    )
    made.add_grant(grant, timestamp=NOW)
    return made


def written(hub, number, *events):
    batch = Batch("w", number, events)
    process(hub, batch, epoch="e", position=f"{number}", now=NOW)


orders = st.lists(st.sampled_from(sorted(EVENTS)), min_size=1, max_size=12)


def kinds(texts):
    return [json.loads(one)["event_type"] for one in texts]


@given(orders, st.integers(0, 12), st.booleans())
def test_on_no_way_the_view_shows_what_it_hides(names, split, resync):
    hub = Hub()
    events = [EVENTS["queued"], *(EVENTS[name] for name in names)]
    for number, event in enumerate(events[: split + 1], 1):
        written(hub, number, event)
    client, whole = HubClient(hub, permit()), HubClient(hub, permit(View.FULL))
    seen, all_ = (
        one.ask("subscribe", operation_id="op-1", replay="all", resync=resync)
        for one in (client, whole)
    )
    for number, event in enumerate(events[split + 1 :], split + 2):
        written(hub, number, event)
        deliver(hub)
        seen += client.read()
        all_ += whole.read()
    seen += client.ask("get_operation", operation_id="op-1")
    seen += client.ask("get_history", operation_id="op-1")
    seen += client.ask("subscribe", operation_id="op-1", since="e.0.0", resync=True)
    seen += client.ask("list_operations", group_id="family")
    assert all(CANARY.encode() not in one for one in seen)
    shown = [one for one in kinds(all_) if one not in {"log", "result"}]
    assert kinds(seen)[: len(shown)] == shown


def test_what_is_shown_is_what_is_listed():
    hub = Hub()
    for number, name in enumerate(["queued", "started", "progress", "error"], 1):
        written(hub, number, EVENTS[name])
    client = HubClient(hub, permit())
    [reply] = client.ask("get_operation", operation_id="op-1")
    shown = json.loads(reply)["operation"]
    assert shown["metadata"] == {}
    assert shown["details"] == {}
    assert shown["error"] == shown["error_type"] == "ValueError"
    assert shown["progress"] == 0.5
    assert shown["message"] == "shown"
    assert shown["group_id"] == "family"
    [reply] = client.ask("get_history", operation_id="op-1")
    events = {one["event_type"]: one["data"] for one in json.loads(reply)["events"]}
    assert events["progress"] == {"progress": 0.5, "message": "shown", "details": {}}
    assert events["error"]["error"] == "ValueError"


def test_who_missed_events_gets_a_snapshot_of_what_is_shown():
    hub = Hub()
    client = HubClient(hub, permit())
    client.ask("subscribe", operation_id="op-1", resync=True)
    lines = [EVENTS["log"]] * (MAX_ENTRIES + 10)
    for number, name in enumerate(["queued", "started", "progress"], 1):
        written(hub, number, EVENTS[name])
    client.read_live()
    written(hub, 4, *lines)
    written(hub, 5, EVENTS["completed"])
    seen = client.read_live()
    assert kinds(seen) == ["snapshot", "completed"]
    assert CANARY.encode() not in b"".join(seen)


def test_the_widest_view_of_the_tokens_counts():
    hub = Hub()
    for number, name in enumerate(["queued", "started"], 1):
        written(hub, number, EVENTS[name])
    rights = permit()
    client = HubClient(hub, rights)
    assert CANARY.encode() not in b"".join(client.ask("get_operation", operation_id="op-1"))
    rights.add_grant(
        Grant(frozenset({Pattern(PatternKind.ID, "op-1")}), float("inf"), frozenset(Right)),
        timestamp=NOW,
    )
    assert CANARY.encode() in b"".join(client.ask("get_operation", operation_id="op-1"))


@pytest.mark.parametrize("exact_only", [True, False])
def test_who_may_watch_by_exact_id_only_is_told_no_other_ids(exact_only):
    hub = Hub()
    for number, name in enumerate(["queued", "started", "log", "completed"], 1):
        written(hub, number, EVENTS[name])
    client = HubClient(hub, Permit(None, exact_only=exact_only))
    seen = client.ask("subscribe", operation_id="op-1", replay="all")
    seen += client.ask("get_history", operation_id="op-1")
    seen += client.ask("subscribe", operation_id="op-1", since="e.0.0", resync=True)
    assert (b"family" not in b"".join(seen)) is exact_only
    assert CANARY.encode() in b"".join(seen), "the operation itself is shown"


def test_why_a_task_is_retried_is_not_shown():
    hub = Hub()
    for number, name in enumerate(["queued", "started", "retrying"], 1):
        written(hub, number, EVENTS[name])
    client = HubClient(hub, permit())
    [reply] = client.ask("get_operation", operation_id="op-1")
    shown = json.loads(reply)["operation"]
    assert (shown["state"], shown["message"]) == ("retrying", "")
    assert CANARY.encode() not in b"".join(
        client.ask("subscribe", operation_id="op-1", replay="all")
    )


@pytest.mark.parametrize(
    "end",
    [
        [status("received", run="r2"), error("revoked", run="r2", status="cancelled")],
        [unstarted()],
    ],
    ids=["revoked", "failed before it"],
)
def test_nor_is_it_shown_when_the_task_has_ended_before_it_was_tried_again(end):
    hub = Hub()
    for number, event in enumerate([EVENTS["started"], EVENTS["retrying"], *end], 1):
        written(hub, number, event)
    whole, client = HubClient(hub, permit(View.FULL)), HubClient(hub, permit())
    assert CANARY.encode() in b"".join(whole.ask("get_operation", operation_id="op-1"))
    assert CANARY.encode() not in b"".join(client.ask("get_operation", operation_id="op-1"))
    assert CANARY.encode() not in b"".join(client.ask("subscribe", operation_id="op-1"))


def test_large_events_are_hidden_too_and_not_kept():
    hub = Hub()
    large = result(CANARY * 10_000)
    for number, event in enumerate([EVENTS["started"], large, EVENTS["completed"]], 1):
        written(hub, number, event)
    before = disclosure._remembered.cache_info().currsize
    client = HubClient(hub, permit())
    shown = client.ask("subscribe", operation_id="op-1", replay="all")
    assert kinds(shown) == ["reply", "status", "completed"]
    assert disclosure._remembered.cache_info().currsize <= before + 2
