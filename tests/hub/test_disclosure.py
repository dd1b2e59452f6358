"""Who has a narrow view, or may watch by exact id only, is shown nothing else, on any way."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.deliveries import deliver, process
from support.hub_clients import HubClient
from support.sample_events import (
    chunk,
    completed,
    error,
    log,
    progress,
    queued,
    result,
    status,
    unstarted,
)
from support.tokens import NOW, guarded, token

from celery_wsprogress.access.grants import Grant, Pattern, PatternKind, Right, View
from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.access.tokens import TokenVerifier
from celery_wsprogress.hub import disclosure
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.store import Limits, OperationStore
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
    "chunk": chunk(CANARY, stream=CANARY),
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
    shown = [one for one in kinds(all_) if one not in {"log", "chunk", "result"}]
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


# What is known of an operation may change, and with it who may watch it.

GRANTED = {"operation_type": "shop.a", "tags": ["red"], "group_id": "g1", "root_id": "r1"}
OTHERS = {"operation_type": "other", "tags": ["blue"], "group_id": "g2", "root_id": "r2"}
WAYS = {
    "tag": ("tag:red", {"tag": "red"}),
    "type": ("type:shop.*", {"operation_type": "shop.a*"}),
    "group": ("group:g1", {"group_id": "g1"}),
    "root": ("root:r1", {"root_id": "r1"}),
}


def started(number=1, **fields):
    return status("started", metadata={}, run=f"r{number}", **fields)


def holder(hub, pattern):
    """A client with a token for one pattern."""
    made = guarded()
    made.add(token(ids=None, ops=[pattern]), timestamp=NOW)
    return HubClient(hub, made)


def begin(pattern, by, **how):
    """A hub with an operation that a client watches by its id, or by a selector."""
    hub = Hub()
    written(hub, 1, started(**GRANTED))
    client = holder(hub, pattern)
    client.ask("subscribe", **by, **how)
    return hub, client


@pytest.mark.parametrize("by_id", [True, False], ids=["by id", "by the selector"])
@pytest.mark.parametrize(("pattern", "selector"), WAYS.values(), ids=[*WAYS])
def test_who_may_not_watch_it_any_more_is_sent_nothing_more(pattern, selector, by_id):
    hub, client = begin(pattern, {"operation_id": "op-1"} if by_id else selector)
    written(hub, 2, log("shown"))
    assert kinds(client.read()) == ["log"]
    written(hub, 3, started(2, **OTHERS), log(CANARY, run="r2"))
    assert client.read() == []
    written(hub, 4, log(CANARY, run="r2"), progress(0.5, run="r2"))
    assert client.read() == []
    written(hub, 5, started(3, **GRANTED))
    written(hub, 6, log("shown again", run="r3"))
    assert kinds(client.read())[-1] == "log"


@pytest.mark.parametrize("replay", ["all", "last", "none"])
@pytest.mark.parametrize("by_id", [True, False], ids=["by id", "by the selector"])
def test_nor_what_it_had_not_read_when_that_changed(by_id, replay):
    hub, client = begin("tag:red", {"operation_id": "op-1"} if by_id else {"tag": "red"})
    client.ask("subscribe", operation_id="op-1", replay=replay, max_rate=1)
    written(hub, 2, log("not read"), progress(0.1), progress(0.2))
    written(hub, 3, started(2, **OTHERS), log(CANARY, run="r2"))
    assert client.read() == []
    assert client.read(now=1_000.0) == []
    assert client.session.next_due is None


def test_nor_by_its_id_when_that_is_another_operation():
    """The first one was evicted; then the id was used again."""
    hub = Hub(OperationStore(Limits(max_finished=0)))
    written(hub, 1, started(**GRANTED))
    by_tag, by_id = holder(hub, "tag:red"), holder(hub, "op-1")
    for client in (by_tag, by_id):
        client.ask("subscribe", operation_id="op-1")
    written(hub, 2, completed())
    assert [kinds(client.read()) for client in (by_tag, by_id)] == [["completed"]] * 2
    written(hub, 3, started(2, **OTHERS), log("new", run="r2"))
    assert [kinds(client.read()) for client in (by_tag, by_id)] == [[], ["status", "log"]]


def test_a_value_that_comes_to_others_takes_nobody_s_right():
    hub, client = begin("tag:red", {"operation_id": "op-1"})
    written(hub, 2, status("received", run="r1", tags=["blue", "red"]), log("shown"))
    assert kinds(client.read())[-1] == "log"
    assert not hub.store.get("op-1").operation.rights_vary
