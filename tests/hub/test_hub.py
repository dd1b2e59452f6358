"""What a client gets: in order, once, and to the end, however it reads and subscribes."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.deliveries import process
from support.frames import decoded
from support.sample_events import (
    completed,
    doubted_logs,
    error,
    interleavings,
    log,
    logs,
    lost,
    plan,
    progress,
    queued,
    stalled,
    status,
)

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.brokers.result_backend import Outcome
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.session import Session
from celery_wsprogress.hub.steps import take_all
from celery_wsprogress.hub.store import Limits, OperationStore
from celery_wsprogress.operations.history import MAX_ENTRIES
from celery_wsprogress.operations.operation import Operation
from celery_wsprogress.operations.selector import EVERYTHING, Selector, SelectorField
from celery_wsprogress.operations.states import State, Verdict
from celery_wsprogress.protocol.batches import Batch
from celery_wsprogress.protocol.event_ids import parse_event_id
from celery_wsprogress.protocol.events import LATEST, Plan, Progress
from celery_wsprogress.sidecar.liveness.inferred_events import ended_unknown

EPOCH = "e1"
HOUR, DAY = 3_600.0, 86_400.0


class Log:
    """A log that is written to a hub, one batch at a time."""

    def __init__(self, hub=None):
        self.hub = hub or Hub()
        self.position = 0
        self.counter = 0

    def write(self, *events, writer="w", counter=None, epoch=EPOCH, alive=(), at=0.0, now=100.0):
        self.position += 1
        self.counter += 1
        batch = Batch(writer, counter or self.counter, events, 0, alive, at)
        return process(self.hub, batch, epoch=epoch, position=f"{self.position}-0", now=now)


def session(number=1):
    return Session(number, Permit(None))


def read(reader, limit=1_000_000):
    """Everything the session has to send, decoded."""
    frames = []
    while reader.has_unread and not reader.too_slow:
        frames += decoded(reader.take(limit, 200.0, 0.0))
    return frames


def kinds(frames):
    return [f["data"].get("status") or f["event_type"] for f in frames]


def subscribe(hub, reader, operation_id="op-1", *, replay=None, since=None):
    return hub.subscriptions.subscribe(reader, operation_id, replay=replay, since=since)


LIFE = (
    queued(at=1.0),
    status("received", at=2.0),
    status("started", metadata={}, at=3.0),
    progress(0.1, at=4.0),
    log("a", at=5.0),
    progress(0.9, at=6.0),
    completed(at=7.0, duration=4.0),
)


def test_a_late_subscriber_gets_the_current_run_with_its_progress_conflated():
    log_ = Log()
    log_.write(*LIFE)
    reader = session()
    subscribe(log_.hub, reader)
    frames = read(reader)
    assert kinds(frames) == ["queued", "received", "started", "log", "progress", "completed"]
    assert frames[4]["data"]["progress"] == 0.9


def test_an_event_id_names_epoch_position_and_place():
    log_ = Log()
    log_.write(*LIFE)
    reader = session()
    subscribe(log_.hub, reader)
    assert read(reader)[0]["event_id"] == "e1.1-0.0"
    assert parse_event_id("e1.1-0.0") == ("e1", ((1, 0), 0))


def test_an_operation_that_ran_twice_shows_its_current_run_only():
    log_ = Log()
    log_.write(status("started", run="a", metadata={}), error(run="a"))
    log_.write(status("started", run="b", metadata={}), completed(run="b", duration=1.0))
    reader = session()
    subscribe(log_.hub, reader)
    assert kinds(read(reader)) == ["started", "completed"]


@given(logs(), st.data())
def test_a_client_sees_what_was_delivered_in_order_and_once(events, data):
    """Against an oracle: the fold itself. The client subscribes at any time and reads at any
    pace, by its id, by ``*`` or by both."""
    log_ = Log()
    reader = session()
    oracle = Operation("op-1", first_seen_at=events[0].timestamp)
    owed, seen, joined = [], [], None
    by = data.draw(st.sampled_from(["id", "everything", "both"]))
    join_at = data.draw(st.integers(0, len(events)))
    for number, event in enumerate(events):
        if number == join_at:
            joined = len(owed)
            if by != "id":
                take_all(log_.hub.subscriptions.select(reader, EVERYTHING, replay="all"))
            if by != "everything":
                subscribe(log_.hub, reader)
        log_.write(event)
        verdict, told = oracle.fold(event)
        if verdict is Verdict.DELIVER:
            owed.append((f"{EPOCH}.{number + 1}-0.0", told))
        if data.draw(st.booleans()):
            seen += [
                frame["event_id"] for frame in read(reader, limit=data.draw(st.integers(1, 900)))
            ]
    if joined is None:
        joined = len(owed)
        subscribe(log_.hub, reader)
    seen += [frame["event_id"] for frame in read(reader)]
    assert seen == sorted(set(seen), key=[name for name, _ in owed].index)
    lossless = [name for name, event in owed[joined:] if not isinstance(event, Progress)]
    assert set(lossless) <= set(seen)
    if owed and isinstance(owed[-1][1], Progress):
        assert seen[-1] == owed[-1][0]


@given(st.lists(st.sampled_from(["write", "drop", "read"]), max_size=40))
def test_resuming_misses_nothing_and_repeats_nothing(steps):
    log_ = Log()
    log_.write(status("started", metadata={}))
    reader, seen, number = session(), [], 0
    subscribe(log_.hub, reader)
    for step in steps:
        if step == "write":
            number += 1
            log_.write(log(str(number)))
        elif step == "read":
            seen += read(reader)
        else:
            log_.hub.subscriptions.disconnect(reader)
            reader = session()
            since = seen[-1]["event_id"] if seen else None
            recovered = subscribe(log_.hub, reader, since=since)
            assert recovered is (since is not None)
    seen += read(reader)
    assert [f["data"]["message"] for f in seen[1:]] == [str(n + 1) for n in range(number)]


def test_resuming_with_a_progress_that_is_no_longer_held():
    log_ = Log()
    log_.write(status("started", metadata={}), progress(0.1), log("a"))
    reader = session()
    subscribe(log_.hub, reader)
    seen = read(reader)
    log_.write(progress(0.2), log("b"))
    again = session(2)
    assert subscribe(log_.hub, again, since="e1.1-0.1") is True
    assert [f["event_id"] for f in seen][:2] == ["e1.1-0.0", "e1.1-0.1"]
    assert kinds(read(again)) == ["log", "progress", "log"]


@pytest.mark.parametrize("since", ["other.1-0.0", "e1.0-0.0", "nonsense", "e1.x.y"])
def test_resuming_from_another_epoch_or_from_before_what_is_held(since):
    log_ = Log()
    log_.write(*LIFE)
    reader = session()
    assert subscribe(log_.hub, reader, since=since) is False
    assert kinds(read(reader))[-1] == "completed"


def test_subscribing_again_replays_nothing_unless_asked():
    log_ = Log()
    log_.write(*LIFE)
    reader = session()
    subscribe(log_.hub, reader)
    read(reader)
    subscribe(log_.hub, reader)
    assert read(reader) == []
    subscribe(log_.hub, reader, replay="all")
    assert kinds(read(reader))[-1] == "completed"


def test_replay_last_says_how_things_stand():
    log_ = Log()
    log_.write(*LIFE[:6])
    reader = session()
    subscribe(log_.hub, reader, replay="last")
    log_.write(log("b"))
    assert kinds(read(reader)) == ["started", "progress", "log"]


@pytest.mark.parametrize("room", [1, 300, 500, 700, 900])
def test_replay_last_is_whole_wherever_a_write_ends(room):
    log_ = Log()
    for name in ("a", "b", "c"):
        log_.write(
            status("started", metadata={}, operation_id=name), progress(0.5, operation_id=name)
        )
    reader = session()
    take_all(log_.hub.subscriptions.select(reader, EVERYTHING, replay="last"))
    assert kinds(read(reader, room)) == ["started", "progress"] * 3


def test_replay_none_says_only_what_is_new():
    log_ = Log()
    log_.write(*LIFE[:6])
    reader = session()
    subscribe(log_.hub, reader, replay="none")
    assert read(reader) == []
    log_.write(LIFE[6])
    assert kinds(read(reader)) == ["completed"]


def test_an_id_nobody_has_heard_of_is_waited_for():
    log_ = Log()
    reader = session()
    subscribe(log_.hub, reader)
    assert log_.write(queued()) == [reader]
    assert kinds(read(reader)) == ["queued"]


def test_everything_begins_with_how_the_unfinished_stand():
    log_ = Log()
    log_.write(*LIFE)
    log_.write(
        status("started", operation_id="op-2", metadata={}), progress(0.5, operation_id="op-2")
    )
    reader = session()
    take_all(log_.hub.subscriptions.select(reader, EVERYTHING, replay="last"))
    frames = read(reader)
    assert {frame["operation_id"] for frame in frames} == {"op-2"}
    assert kinds(frames) == ["started", "progress"]


def test_after_unsubscribing_nothing_comes():
    log_ = Log()
    reader = session()
    subscribe(log_.hub, reader)
    take_all(log_.hub.subscriptions.select(reader, EVERYTHING, replay="none"))
    log_.hub.subscriptions.unsubscribe(reader, ["op-1"])
    log_.write(queued())
    assert kinds(read(reader)) == ["queued"]  # everything is still watched
    take_all(log_.hub.subscriptions.unselect(reader, EVERYTHING))
    log_.write(status("received"))
    assert read(reader) == []


def test_an_exact_subscription_outlives_that_of_everything():
    log_ = Log()
    reader = session()
    take_all(log_.hub.subscriptions.select(reader, EVERYTHING, replay="none"))
    subscribe(log_.hub, reader)
    take_all(log_.hub.subscriptions.unselect(reader, EVERYTHING))
    log_.write(queued())
    assert kinds(read(reader)) == ["queued"]


def test_a_session_that_left_is_forgotten():
    log_ = Log()
    reader = session()
    subscribe(log_.hub, reader)
    take_all(log_.hub.subscriptions.select(reader, EVERYTHING, replay="none"))
    log_.hub.subscriptions.disconnect(reader)
    assert log_.write(queued()) == []
    assert log_.hub.stats()["subscriptions"] == 0


def test_a_batch_written_twice_counts_once_and_a_missing_one_is_a_gap():
    log_ = Log()
    log_.write(queued(), writer="a", counter=1)
    log_.write(queued(), writer="a", counter=1)
    log_.write(status("received"), writer="a", counter=4)
    assert log_.hub.counts["repeats"] == 1
    assert log_.hub.counts["gaps"] == 1
    assert log_.hub.counts["delivered"] == 2


def test_resuming_across_a_gap_does_not_claim_that_nothing_is_missing():
    log_ = Log()
    log_.write(status("started", metadata={}), log("a"), counter=1)
    log_.write(log("c"), counter=3)
    assert subscribe(log_.hub, session(1), since="e1.1-0.1") is False
    assert subscribe(log_.hub, session(2), since="e1.2-0.0") is True


def test_resuming_in_an_epoch_whose_positions_began_anew():
    log_ = Log()
    log_.write(status("started", metadata={}), log("a"), epoch="e0")
    log_.write(log("b"), epoch="e0")
    log_.position = 0
    log_.write(log("c"))
    log_.write(log("d"))
    reader = session()
    assert subscribe(log_.hub, reader, since="e1.1-0.0") is True
    assert [f["data"]["message"] for f in read(reader)] == ["d"]


def test_a_client_that_falls_off_the_history_is_too_slow():
    log_ = Log()
    reader, brisk = session(1), session(2)
    for one in (reader, brisk):
        subscribe(log_.hub, one)
    log_.write(status("started", metadata={}))
    for number in range(MAX_ENTRIES + 10):
        log_.write(log(str(number)))
        read(brisk)
    read(reader)
    assert reader.too_slow
    assert not brisk.too_slow


def test_a_slow_client_gets_no_progress_that_is_outdated():
    log_ = Log()
    reader = session()
    subscribe(log_.hub, reader)
    log_.write(status("started", metadata={}))
    for number in range(5_000):
        log_.write(progress(number / 5_000))
    log_.write(completed(duration=1.0))
    assert kinds(read(reader)) == ["started", "progress", "completed"]


def test_finished_operations_are_bounded_by_number():
    hub = Hub(OperationStore(Limits(max_finished=2)))
    log_ = Log(hub)
    for number in range(5):
        log_.write(completed(operation_id=f"op-{number}"))
    assert [hub.get(f"op-{n}") is not None for n in range(5)] == [False, False, False, True, True]
    assert hub.stats()["total_operations"] == 5


def test_an_evicted_operation_still_reaches_who_watches_it():
    hub = Hub(OperationStore(Limits(max_finished=0)))
    log_ = Log(hub)
    reader = session()
    subscribe(hub, reader)
    log_.write(status("started", metadata={}), completed(duration=1.0))
    assert hub.get("op-1") is None
    assert kinds(read(reader)) == ["started", "completed"]


def test_subscribing_again_to_what_was_evicted_repeats_nothing():
    log_ = Log(Hub(OperationStore(Limits(max_finished=0))))
    reader = session()
    subscribe(log_.hub, reader)
    log_.write(status("started", metadata={}), log("a"))
    seen = read(reader)
    log_.write(log("b"), completed(duration=1.0))
    assert log_.hub.get("op-1") is None
    subscribe(log_.hub, reader, replay="all")
    assert kinds(seen + read(reader)) == ["started", "log", "log", "completed"]


@pytest.mark.parametrize("limit", [1, 1_000_000])
def test_an_operation_that_was_let_go_unread_and_began_again_is_read_from_both_histories(limit):
    hub = Hub(OperationStore(Limits(max_finished=0)))
    log_ = Log(hub)
    reader = session()
    subscribe(hub, reader)
    log_.write(status("started", run="a", metadata={}), completed(run="a"))
    log_.write(status("started", run="b", metadata={}), log("b", run="b"))
    assert kinds(read(reader, limit)) == ["started", "completed", "started", "log"]


def test_only_who_has_nothing_to_read_yet_is_woken():
    log_ = Log()
    both = [session(1), session(2)]
    for one in both:
        subscribe(log_.hub, one)
    assert set(log_.write(log("a"), log("b"))) == set(both)
    assert log_.write(log("c")) == []
    read(both[0])
    assert log_.write(log("d")) == [both[0]]


@pytest.mark.parametrize(
    "late",
    [
        queued(),
        status("received", run="a"),
        log("late", run="a"),
        msgspec.structs.replace(completed(run="a"), inferred=True),
        error("WorkerLost", run="a"),
    ],
    ids=lambda event: event.__struct_config__.tag,
)
def test_what_comes_late_of_an_operation_that_ended_and_was_let_go_opens_nothing(late):
    hub = Hub(OperationStore(Limits(max_finished=0)))
    log_ = Log(hub)
    reader = session()
    subscribe(hub, reader)
    log_.write(status("started", run="a", metadata={}), completed(run="a"))
    assert kinds(read(reader)) == ["started", "completed"]
    log_.write(late)
    assert hub.get("op-1") is None
    log_.write(status("started", run="b", metadata={}))
    assert kinds(read(reader)) == ["started"]


def test_what_the_result_backend_answers_to_who_asks_for_what_was_let_go_is_shown():
    asked = []
    hub = Hub(OperationStore(Limits(max_finished=0)))
    hub.subscriptions.on_unknown = lambda client, unknown: asked.append((client, unknown))
    log_ = Log(hub)
    log_.write(status("started", run="a", metadata={}), completed(run="a"))
    reader = session()
    subscribe(hub, reader)
    assert asked == [(reader, "op-1")]
    outcome = Outcome(end="completed", result=7)
    log_.write(*ended_unknown("op-1", 100.0, outcome))
    assert kinds(read(reader)) == ["result", "completed"]


def test_who_is_gone_is_told_to_whoever_asks_the_result_backend():
    hub, gone = Hub(), []
    hub.subscriptions.on_disconnect = gone.append
    reader = session()
    subscribe(hub, reader)
    hub.subscriptions.disconnect(reader)
    assert gone == [reader]


def test_a_plan_of_a_workflow_is_counted_and_no_client_gets_it():
    log_, reader = Log(), session()
    take_all(log_.hub.subscriptions.select(reader, EVERYTHING, replay="none"))
    log_.write(plan(), status("started", metadata={}))
    assert log_.hub.events_read[Plan] == 1
    frames = read(reader)
    assert [frame["operation_id"] for frame in frames] == ["workflow:c", "op-1"]
    assert {frame["event_type"] for frame in frames} == {"status"}


def test_waiting_operations_are_bounded_by_number():
    hub = Hub(OperationStore(Limits(max_waiting=2)))
    log_ = Log(hub)
    for number in range(5):
        log_.write(queued(operation_id=f"op-{number}"))
    assert hub.stats()["held_operations"] == 2


def test_histories_are_bounded_in_bytes_and_finished_ones_go_first():
    hub = Hub(OperationStore(Limits(max_history_bytes=20_000)))
    log_ = Log(hub)
    log_.write(status("started", operation_id="running", metadata={}))
    for number in range(20):
        name = f"op-{number}"
        log_.write(log("x" * 3000, operation_id=name), completed(operation_id=name))
    assert hub.stats()["history_bytes"] <= 20_000
    assert hub.get("running") is not None


def test_what_is_silent_for_too_long_is_let_go():
    hub = Hub(OperationStore(Limits(max_age=2 * DAY)))
    log_ = Log(hub)
    log_.write(queued(operation_id="a"), completed(operation_id="b"))
    hub.store.expire(99.0 + 2 * DAY)
    assert hub.stats()["held_operations"] == 2
    hub.store.expire(100.0 + 2 * DAY)
    assert hub.stats()["held_operations"] == hub.stats()["history_bytes"] == 0


UNENDED = {
    "queued": [queued(at=50.0)],
    "received": [queued(at=50.0), status("received", at=51.0)],
    "running": [status("started", metadata={}, at=52.0)],
    "retrying": [status("started", metadata={}, at=52.0), status("retrying", at=53.0)],
    "replaced": [status("started", metadata={}, at=52.0), status("replaced", at=53.0)],
}


@pytest.mark.parametrize("said", UNENDED.values(), ids=list(UNENDED))
def test_what_has_not_ended_is_held_for_a_day_however_soon_the_others_go(said):
    log_ = Log(Hub(OperationStore(Limits(max_age=5.0))))
    log_.write(*said)
    log_.write(completed(operation_id="b"))
    log_.hub.store.expire(105.0)
    assert log_.hub.get("op-1")
    assert log_.hub.get("b") is None
    log_.hub.store.expire(99.0 + DAY)
    assert log_.hub.get("op-1")
    log_.hub.store.expire(100.0 + DAY)
    assert log_.hub.get("op-1") is None


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ([queued(at=50.0, starts_at=50.0 + 3 * DAY)], 3 * DAY),
        ([queued(at=50.0, starts_at=10.0)], 0.0),
        ([queued(at=50.0, starts_at=LATEST)], LATEST - 50.0),
        # The clock of the worker, which will start it, is an hour behind that of the caller.
        (
            [
                queued(at=50.0 + HOUR, starts_at=50.0 + HOUR + DAY),
                status("received", at=50.0, starts_at=50.0 + HOUR + DAY),
            ],
            HOUR + DAY,
        ),
        # A retry is received before the attempt that asks for it says so; or later, or never.
        (
            [
                status("started", metadata={}, at=52.0),
                status("received", run="r2", after="r1", at=53.0, starts_at=53.0 + 2 * DAY),
                status("retrying", at=53.0),
            ],
            2 * DAY,
        ),
        (
            [
                status("started", metadata={}, at=52.0),
                status("retrying", at=53.0, retry_in=2 * DAY),
            ],
            2 * DAY,
        ),
        (
            [
                status("started", metadata={}, at=52.0),
                status("replaced", at=53.0),
                status("received", run="r2", at=53.0, starts_at=53.0 + 2 * DAY),
            ],
            2 * DAY,
        ),
    ],
    ids=["eta", "past", "never", "clocks", "retry", "retry unheard", "replaced"],
)
def test_what_waits_for_its_time_is_held_until_then_and_as_long_as_others_behind_it(said, seconds):
    log_ = Log(Hub(OperationStore(Limits(max_age=5.0))))
    log_.write(*said)
    for now in (100.0 + seconds / 2, 99.0 + seconds + DAY):
        log_.hub.store.expire(now)
        assert log_.hub.get("op-1")
    # It was looked at a second before its time, at the latest.
    for days in (1, 2):
        log_.hub.store.expire(100.0 + seconds + days * DAY)
    assert log_.hub.get("op-1") is None


def test_what_waited_for_its_time_goes_as_soon_as_others_once_it_has_ended():
    log_ = Log(Hub(OperationStore(Limits(max_age=5.0))))
    log_.write(queued(starts_at=100 * DAY))
    log_.write(status("received", starts_at=100 * DAY), error(status="cancelled"))
    log_.hub.store.expire(105.0)
    assert log_.hub.get("op-1") is None


def test_a_run_that_says_nothing_is_held_as_long_as_its_worker_gives_signs():
    log_ = Log(Hub(OperationStore(Limits(max_age=5.0))))
    log_.write(status("started", metadata={}))
    for hour in range(1, 80):
        now = 100.0 + hour * HOUR
        log_.write(alive=[("op-1", "r1")], now=now)
        log_.hub.store.expire(now)
        assert log_.hub.get("op-1")


@pytest.mark.parametrize("alive", [("op-1", "r2"), ("unknown", "r1")], ids=["run", "operation"])
def test_a_sign_of_another_run_says_nothing_of_the_current_one(alive):
    log_ = Log()
    log_.write(status("started", metadata={}), stalled(), now=100.0)
    log_.write(alive=[alive], at=50.0, now=110.0)
    record = log_.hub.store.get("op-1")
    assert (record.last_heartbeat_at, record.last_event_at) == (100.0, 100.0)
    assert log_.hub.counts["resumed"] == 0
    assert log_.hub.store.get("unknown") is None
    log_.write(alive=[("op-1", "r1")], at=50.0, now=120.0)
    assert (record.last_heartbeat_at, log_.hub.counts["resumed"]) == (120.0, 1)


def test_progress_that_is_held_back_goes_with_its_operation():
    hub = Hub(OperationStore(Limits(max_history_bytes=5_000)), progress_interval=1.0)
    log_ = Log(hub)
    log_.write(progress(0.1), progress(0.2), now=100.0)
    large = {"operation_id": "large"}
    log_.write(log("x" * 5_000, **large), progress(0.1, **large), progress(0.2, **large), now=100.5)
    assert hub.get("op-1") is None
    hub.take_deliveries()
    take_all(hub.subscriptions.select(session(), EVERYTHING, replay="none"))
    hub.flush_due(102.0)
    assert [one.record.operation_id for one in hub.take_deliveries()] == ["large"]
    assert hub.stats()["held_operations"] == 1


def test_progress_that_was_held_back_does_not_exceed_the_limit_of_memory():
    limit = 21_000
    hub = Hub(OperationStore(Limits(max_history_bytes=limit)), progress_interval=1.0)
    log_ = Log(hub)
    log_.write(log("x" * 14_000, operation_id="other"), now=100.0)
    log_.write(progress(0.1), progress(0.2, message="x" * 2_000), now=100.0)
    before = hub.stats()
    hub.flush_due(101.0)
    assert before["held_operations"] == 2
    assert hub.stats()["history_bytes"] <= limit


def test_an_event_id_of_an_unknown_epoch_is_kept_until_the_log_is_in_that_epoch():
    log_ = Log()
    reader = session()
    log_.write(*LIFE, epoch="e1")
    subscribe(log_.hub, reader, since="e3.7-0.0")
    log_.write(log("a"), epoch="e2")
    assert reader.cursors["op-1"].unknown_since == "e3.7-0.0"
    log_.write(log("b"), epoch="e3")
    cursor = reader.cursors["op-1"]
    assert (cursor.unknown_since, cursor.skip_until.batch) == (None, (3, 7, 0))


def test_a_progress_of_what_was_let_go_is_held_anew():
    hub = Hub(OperationStore(Limits(max_history_bytes=5_000)))
    log_ = Log(hub)
    log_.write(status("started", metadata={}), progress(0.1))
    log_.write(
        status("started", operation_id="large", metadata={}), log("x" * 5_000, operation_id="large")
    )
    assert hub.get("op-1") is None
    log_.write(progress(0.2))
    assert hub.get("op-1")["progress"] == 0.2


@given(st.data())
def test_two_operations_do_not_touch_each_other(data):
    lives = [
        [status("started", operation_id=name, metadata={}), log("a", operation_id=name),
         completed(operation_id=name, duration=1.0)]
        for name in ("a", "b")
    ]  # fmt: skip
    log_ = Log()
    readers = {name: session(number) for number, name in enumerate("ab")}
    for name, reader in readers.items():
        subscribe(log_.hub, reader, name)
    for event in data.draw(interleavings(lives)):
        log_.write(event)
    for name, reader in readers.items():
        frames = read(reader, limit=1)
        assert {frame["operation_id"] for frame in frames} == {name}
        assert kinds(frames) == ["started", "log", "completed"]


def test_replies_go_before_events():
    log_ = Log()
    log_.write(*LIFE)
    reader = session()
    subscribe(log_.hub, reader)
    reader.replies.add(b'{"event_type":"reply","data":{}}')
    assert read(reader)[0]["event_type"] == "reply"


OF_A_KIND = {
    SelectorField.OPERATION_TYPE: Selector(SelectorField.OPERATION_TYPE, "report.*"),
    SelectorField.TAG: Selector(SelectorField.TAG, "nightly"),
    SelectorField.GROUP: Selector(SelectorField.GROUP, "g1"),
    SelectorField.ROOT: Selector(SelectorField.ROOT, "root"),
}
CHOSEN = {"operation_type": "report.pdf", "tags": ["nightly"], "group_id": "g1", "root_id": "root"}


@pytest.mark.parametrize("selector", OF_A_KIND.values(), ids=OF_A_KIND)
def test_a_selector_shows_what_it_matches_and_nothing_else(selector):
    log_ = Log()
    log_.write(status("started", operation_id="old", metadata={}, **CHOSEN))
    log_.write(completed(operation_id="old"))
    log_.write(status("started", operation_id="going", metadata={}, **CHOSEN))
    reader = session()
    take_all(log_.hub.subscriptions.select(reader, selector, replay="last"))
    assert [frame["operation_id"] for frame in read(reader)] == ["going"]
    log_.write(queued(operation_id="new", **CHOSEN), queued(operation_id="other"))
    log_.write(completed(operation_id="going"), completed(operation_id="other"))
    frames = read(reader)
    assert [frame["operation_id"] for frame in frames] == ["new", "going"]
    take_all(log_.hub.subscriptions.unselect(reader, selector))
    log_.write(completed(operation_id="new"))
    assert read(reader) == []


def test_an_operation_that_becomes_known_as_one_of_a_kind_is_shown_from_then_on():
    log_ = Log()
    reader = session()
    take_all(log_.hub.subscriptions.select(reader, OF_A_KIND[SelectorField.TAG], replay="last"))
    log_.write(queued())
    log_.write(status("started", metadata={}, tags=["nightly"]), log("after"))
    assert kinds(read(reader)) == ["started", "log"]


def test_what_is_watched_in_several_ways_comes_once_and_until_the_last_of_them_ends():
    log_ = Log()
    reader = session()
    for selector in (OF_A_KIND[SelectorField.TAG], EVERYTHING):
        take_all(log_.hub.subscriptions.select(reader, selector, replay="last"))
    subscribe(log_.hub, reader)
    log_.write(queued(**CHOSEN))
    assert kinds(read(reader)) == ["queued"]
    take_all(log_.hub.subscriptions.unselect(reader, EVERYTHING))
    log_.hub.subscriptions.unsubscribe(reader, ["op-1"])
    log_.write(status("received"))
    assert kinds(read(reader)) == ["received"]
    take_all(log_.hub.subscriptions.unselect(reader, OF_A_KIND[SelectorField.TAG]))
    log_.write(completed())
    assert read(reader) == []
    assert log_.hub.stats()["subscriptions"] == 0


def test_a_session_that_left_holds_on_to_nothing():
    log_ = Log()
    log_.write(*LIFE)
    reader = session()
    take_all(log_.hub.subscriptions.select(reader, EVERYTHING, replay="all"))
    reader.replies.add(b"{}")
    log_.hub.subscriptions.disconnect(reader)
    assert not reader.has_unread
    assert reader.cursors == {}


# Signs of life.


def signed_at(log_):
    return log_.hub.store.get("op-1").last_heartbeat_at


def test_a_word_of_a_run_and_a_sign_of_it_are_signs_and_nothing_else_is():
    log_ = Log()
    log_.write(status("started", metadata={}), now=1.0)
    assert signed_at(log_) == 1.0
    log_.write(alive=[("op-1", "r1"), ("op-2", "r1")], now=2.0)
    assert signed_at(log_) == 2.0
    log_.write(alive=[("op-1", "another")], now=3.0)
    log_.write(stalled(), now=4.0)
    log_.write(queued(publication="p2"), now=5.0)
    assert signed_at(log_) == 2.0
    log_.write(progress(0.1), now=6.0)
    assert signed_at(log_) == 6.0
    assert log_.hub.get("op-2") is None


def test_the_silent_are_those_of_a_state_that_were_not_heard_since():
    log_ = Log()
    for number, said in enumerate(["queued", "received", "started", "retrying", "done"]):
        one = f"op-{number}"
        log_.write(
            completed(operation_id=one)
            if said == "done"
            else status(said, run=f"r{number}", operation_id=one)
        )
    silent = log_.hub.store.silent
    assert [held.operation.operation_id for held in silent(State.RUNNING, 100.0)] == ["op-2"]
    assert [held.operation.operation_id for held in silent(State.RECEIVED, 100.0)] == ["op-1"]
    assert silent(State.RUNNING, 99.0) == []


def test_a_lost_run_that_speaks_is_opened_again_before_what_it_says():
    log_ = Log()
    log_.write(status("started", metadata={}))
    log_.write(stalled())
    log_.write(lost())
    reader = session()
    subscribe(log_.hub, reader)
    read(reader)
    log_.write(log("other", operation_id="op-2"), log("here"))
    frames = read(reader)
    assert kinds(frames) == ["started", "log"]
    assert [frame["event_id"] for frame in frames] == ["e1.4-0.1r", "e1.4-0.1"]
    assert parse_event_id("e1.4-0.1r")[1] < parse_event_id("e1.4-0.1")[1]
    assert parse_event_id("e1.4-0.1r")[1] > parse_event_id("e1.4-0.0")[1]


def test_a_late_subscriber_of_a_run_that_was_opened_again_is_not_told_of_its_loss():
    log_ = Log()
    log_.write(status("started", metadata={}))
    log_.write(stalled())
    log_.write(lost())
    log_.write(alive=[("op-1", "r1")], at=70.0)
    reader = session()
    subscribe(log_.hub, reader)
    frames = read(reader)
    assert kinds(frames) == ["started"]
    assert (frames[0]["timestamp"], frames[0]["event_id"]) == (70.0, "e1.4-0.0r")


def test_resuming_between_an_opening_and_what_it_stands_before():
    log_ = Log()
    log_.write(status("started", metadata={}))
    log_.write(stalled())
    log_.write(lost())
    log_.write(log("here"))
    reader = session()
    assert subscribe(log_.hub, reader, since="e1.4-0.0r")
    assert kinds(read(reader)) == ["log"]


@given(st.integers(1, 3), st.data())
def test_sidecars_that_read_the_same_log_name_everything_alike(count, data):
    """Also what they conclude: it stands in the log."""
    events = data.draw(doubted_logs())
    readers, logs_ = [], [Log() for _ in range(count)]
    for log_ in logs_:
        readers.append(session())
        take_all(log_.hub.subscriptions.select(readers[-1], EVERYTHING, replay="all"))
        for event in events:
            log_.write(event)
    [first, *others] = [
        [(frame["event_id"], frame["event_type"]) for frame in read(reader)] for reader in readers
    ]
    assert all(other == first for other in others)
    assert len({name for name, _ in first}) == len(first)
