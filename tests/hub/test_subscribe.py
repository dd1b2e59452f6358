"""What a `subscribe` must be like, and what one with other fields is answered."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support.deliveries import process
from support.frames import decoded
from support.sample_events import log

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.errors import CommandError
from celery_wsprogress.hub.command_context import CommandContext
from celery_wsprogress.hub.commands import execute
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.session import Session
from celery_wsprogress.hub.steps import take_all
from celery_wsprogress.hub.subscribe import SUBSCRIPTIONS_PER_STEP, subscribe
from celery_wsprogress.protocol.batches import Batch


@pytest.fixture
def session():
    return Session(1, Permit(None))


def context(session, *, max_subscriptions=5, **fields):
    hub = Hub()
    process(hub, Batch("w", 1, [log("a")]), epoch="e", position="1", now=0.0)
    return CommandContext(
        fields=fields,
        session=session,
        hub=hub,
        timestamp=0.0,
        max_subscriptions=max_subscriptions,
        stats=dict,
        replayable=True,
    )


@pytest.mark.parametrize("resync", ["yes", 1, [], {}])
def test_resync_is_true_or_false_and_nothing_is_subscribed_otherwise(session, resync):
    with pytest.raises(CommandError, match="`resync` must be true or false") as refusal:
        take_all(subscribe(context(session, operation_id="op-1", resync=resync)))
    assert refusal.value.code == "invalid_command"
    assert session.subscribed == set()
    assert not session.accepts_snapshots


def test_what_one_subscription_accepts_holds_for_the_session(session):
    take_all(subscribe(context(session, operation_id="op-1", resync=True)))
    take_all(subscribe(context(session, operation_id="op-2", resync=False)))
    take_all(subscribe(context(session, operation_id="op-3")))
    assert session.accepts_snapshots


def test_the_ids_that_are_watched_are_bounded_in_bytes(session):
    def subscribed(*ids):
        take_all(subscribe(context(session, max_subscriptions=2_000, operation_ids=[*ids])))

    longest = [f"{number}".rjust(1_000, "x") for number in range(400)]
    subscribed(*longest[:380])
    # Those that are watched already take no room.
    subscribed(*longest[:380])
    with pytest.raises(CommandError, match="may take 400,000 bytes") as refusal:
        subscribed(*longest)
    assert refusal.value.code == "too_many_subscriptions"
    assert session.subscribed == {*longest[:380]}


def test_ids_that_are_not_watched_any_more_take_no_room(session):
    hub = Hub()
    for number in range(1_000):
        operation_id = f"{number}".rjust(1_000, "ä")
        hub.subscriptions.subscribe(session, operation_id, replay=None, since=None)
        hub.subscriptions.unsubscribe(session, [operation_id, "another"])
    assert session.subscribed_bytes == 0
    hub.subscriptions.subscribe(session, "op", replay=None, since=None)
    hub.subscriptions.subscribe(session, "op", replay=None, since=None)
    assert session.subscribed_bytes > 0
    hub.subscriptions.disconnect(session)
    assert session.subscribed_bytes == 0


@pytest.mark.parametrize("field", [{"operation_id": "*"}, {"tag": "red"}, {"group_id": "g"}])
def test_since_goes_with_ids_and_not_with_a_selector(session, field):
    with pytest.raises(CommandError, match="it goes with ids") as refusal:
        take_all(subscribe(context(session, **field, since="e.1.0")))
    assert refusal.value.code == "invalid_command"
    assert session.selectors == set()
    assert (
        take_all(subscribe(context(session, operation_id="op-1", since="e.1.0")))["recovered"]
        is True
    )


def test_whoever_resumes_is_counted_by_whether_nothing_is_missing(session):
    ids = ["op-1", "op-2"]
    one = context(session, operation_id="op-1", since="e.1.0")
    since = {"op-1": "e.1.0", "op-2": "other.1.0"}
    several = replace(one, fields={"operation_ids": ids, "since": since})
    for command in (one, several, replace(one, fields={"operation_ids": ids})):
        take_all(subscribe(command))
    counts = one.hub.counts
    assert (counts["recovered"], counts["not_recovered"]) == (2, 1)


def test_several_ids_are_subscribed_in_steps_and_all_of_them(session):
    ids = [f"op-{number}" for number in range(2 * SUBSCRIPTIONS_PER_STEP)]
    command = context(session, operation_ids=ids, max_subscriptions=len(ids))
    assert sum(1 for _ in subscribe(command)) == 2
    assert session.subscribed == set(ids)


class Socket:
    """A socket that takes everything."""

    ready = True

    def __init__(self):
        self.taken = b""

    def write(self, frames):
        self.taken += frames


def test_the_reply_comes_before_the_events_also_where_a_command_takes_steps():
    hub, socket = Hub(), Socket()
    session = Session(1, Permit(None), socket)
    ids = [f"op-{number}" for number in range(SUBSCRIPTIONS_PER_STEP + 1)]
    frame = json.dumps({"command": "subscribe", "operation_ids": ids})
    steps = execute(
        frame,
        session,
        hub,
        timestamp=0.0,
        max_subscriptions=len(ids),
        stats=dict,
        replayable=True,
    )
    next(steps)
    process(hub, Batch("w", 1, [log("a", operation_id="op-0")]), epoch="e", position="1", now=0.0)
    for record, cursor, sessions, _ in hub.take_deliveries():
        assert [one.notify(record, cursor) for one in sessions] == [True]
    session.flush(0.0, 0.0)
    assert socket.taken == b""
    take_all(steps)
    session.flush(0.0, 0.0)
    assert [one["event_type"] for one in decoded(socket.taken)] == ["reply", "log"]
