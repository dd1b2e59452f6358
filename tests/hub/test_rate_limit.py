"""How often progress is told: by the sidecar's pace for everyone, and by a client's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.deliveries import deliver, process
from support.frames import decoded
from support.sample_events import completed, doubted_logs, log, progress, status

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.rate_limit import ProgressRateLimiter
from celery_wsprogress.hub.session import Session
from celery_wsprogress.hub.steps import take_all
from celery_wsprogress.operations.selector import EVERYTHING
from celery_wsprogress.protocol.batches import Batch

INTERVAL = 1.0


class Sidecar:
    """A hub with a clock that the test sets, and one client of it."""

    def __init__(self, interval=INTERVAL):
        self.hub = Hub(progress_interval=interval)
        self.session = Session(1, Permit(None))
        self.now = 0.0
        self.count = 0

    def write(self, *events):
        self.count += 1
        batch = Batch("w", self.count, events)
        return process(self.hub, batch, epoch="e", position=f"{self.count}-0", now=self.now)

    def wait(self, seconds):
        self.now += seconds
        self.hub.flush_due(self.now)
        return deliver(self.hub)

    def read(self):
        frames = []
        while self.session.has_unread or (self.session.next_due or self.now + 1) <= self.now:
            frames += decoded(self.session.take(100_000, self.now, 0.0))
        return frames


def told(frames):
    return [f["data"].get("progress", f["data"].get("status", f["event_type"])) for f in frames]


@pytest.fixture
def sidecar():
    made = Sidecar()
    made.hub.subscriptions.subscribe(made.session, "op-1", replay=None, since=None)
    made.write(status("started", metadata={}))
    made.read()
    return made


# The sidecar's pace.


def test_the_first_is_told_at_once_and_of_the_next_the_last_one_when_it_is_time(sidecar):
    for number in range(4):
        sidecar.write(progress(number / 10))
    assert told(sidecar.read()) == [0.0]
    assert sidecar.hub.next_due == INTERVAL
    assert sidecar.wait(INTERVAL / 2) == []
    assert sidecar.wait(INTERVAL / 2) == [sidecar.session]
    assert told(sidecar.read()) == [0.3]
    assert sidecar.hub.next_due is None


@pytest.mark.parametrize("other", [log("a"), completed(duration=1.0), status("busy")])
def test_what_is_late_goes_before_whatever_else_comes(sidecar, other):
    sidecar.write(progress(0.1), progress(0.2), other, progress(0.3))
    frames = sidecar.read()
    # 0.1 was replaced by 0.2 before it was read.
    assert told(frames)[0] == 0.2
    assert frames[-1]["event_type"] == other.__struct_config__.tag


def test_the_snapshot_does_not_wait(sidecar):
    sidecar.write(progress(0.1), progress(0.2))
    assert sidecar.hub.get("op-1")["progress"] == 0.2


def test_operations_do_not_wait_for_each_other(sidecar):
    take_all(sidecar.hub.subscriptions.select(sidecar.session, EVERYTHING, replay="none"))
    sidecar.write(*(progress(0.1, operation_id=f"op-{number}") for number in range(3)))
    assert told(sidecar.read()) == [0.1] * 3


@given(doubted_logs(), st.data())
def test_at_whatever_pace_nothing_else_is_missing_and_the_order_is_that_of_the_log(events, data):
    """Against the same log without a pace: what is left out is progress that a later event of its
    run follows at once."""
    paced, whole = Sidecar(data.draw(st.sampled_from([0.5, 3.0]))), Sidecar(0.0)
    seen, all_ = [], []
    for one in (paced, whole):
        take_all(one.hub.subscriptions.select(one.session, EVERYTHING, replay="none"))
    for event in events:
        for one in (paced, whole):
            one.write(event)
        all_ += whole.read()
        if data.draw(st.booleans()):
            paced.wait(data.draw(st.sampled_from([0.1, 1.0, 5.0])))
        if data.draw(st.booleans()):
            seen += paced.read()
    paced.wait(10.0)
    seen += paced.read()
    ids = [frame["event_id"] for frame in all_]
    places = [ids.index(frame["event_id"]) for frame in seen]
    assert places == sorted(set(places))
    missing = set(range(len(ids))) - set(places)
    assert all(all_[place]["event_type"] == "progress" for place in missing)
    for run in {frame.get("run") for frame in all_ if frame["event_type"] == "progress"}:
        last = [f["event_id"] for f in all_ if f["event_type"] == "progress" and f["run"] == run]
        assert last[-1] in {frame["event_id"] for frame in seen}
    assert paced.hub.get("op-1")["progress"] == whole.hub.get("op-1")["progress"]


# A client's own pace.


@pytest.mark.parametrize("by", ["id", "everything"])
def test_a_client_may_ask_to_be_told_less_often(by):
    sidecar = Sidecar(interval=0.0)
    if by == "id":
        sidecar.hub.subscriptions.subscribe(sidecar.session, "op-1", replay=None, since=None)
        sidecar.session.set_max_rate("op-1", 0.5)
    else:
        take_all(sidecar.hub.subscriptions.select(sidecar.session, EVERYTHING, replay="none"))
        sidecar.session.set_max_rate(None, 0.5)
    seen = []
    sidecar.write(status("started", metadata={}))
    for number in range(100):
        sidecar.write(progress(number / 100))
        sidecar.wait(0.1)
        seen += sidecar.read()
    progressed = [one for one in told(seen) if isinstance(one, float)]
    assert 5 <= len(progressed) <= 6
    sidecar.write(log("a"))
    assert told(sidecar.read())[-1] == "log"
    sidecar.write(progress(0.995))
    sidecar.wait(2.0)
    assert told(sidecar.read()) == [0.995]


def test_what_rests_goes_with_the_end():
    sidecar = Sidecar(interval=0.0)
    sidecar.hub.subscriptions.subscribe(sidecar.session, "op-1", replay=None, since=None)
    sidecar.session.set_max_rate("op-1", 0.5)
    sidecar.write(progress(0.1))
    sidecar.read()
    sidecar.write(progress(0.2))
    assert sidecar.read() == []
    assert sidecar.session.next_due is not None
    sidecar.write(completed(duration=1.0))
    assert told(sidecar.read()) == [0.2, "completed"]
    assert sidecar.session.next_due is None


def test_who_stops_watching_is_not_told_what_rests():
    sidecar = Sidecar(interval=0.0)
    sidecar.hub.subscriptions.subscribe(sidecar.session, "op-1", replay=None, since=None)
    sidecar.session.set_max_rate("op-1", 0.5)
    for value in (0.1, 0.2):
        sidecar.write(progress(value))
        sidecar.read()
    sidecar.hub.subscriptions.unsubscribe(sidecar.session, ["op-1"])
    sidecar.wait(5.0)
    assert sidecar.read() == []


def test_whoever_no_longer_asks_by_id_is_told_as_often_as_of_what_is_selected():
    sidecar = Sidecar(interval=0.0)
    take_all(sidecar.hub.subscriptions.select(sidecar.session, EVERYTHING, replay="none"))
    sidecar.hub.subscriptions.subscribe(sidecar.session, "op-1", replay=None, since=None)
    sidecar.session.set_max_rate("op-1", 0.01)
    sidecar.hub.subscriptions.unsubscribe(sidecar.session, ["op-1"])
    for value in (0.1, 0.2):
        sidecar.write(progress(value))
        assert told(sidecar.read()) == [value]


@pytest.mark.parametrize("how", ["by id", "as all that is selected"])
def test_who_wants_more_often_what_rests_already_is_told_it_in_time(how):
    sidecar = Sidecar(interval=0.0)
    take_all(sidecar.hub.subscriptions.select(sidecar.session, EVERYTHING, replay="none"))
    sidecar.hub.subscriptions.subscribe(sidecar.session, "op-1", replay=None, since=None)
    sidecar.session.set_max_rate("op-1", 0.01)
    for value, seen in ((0.1, [0.1]), (0.2, [])):
        sidecar.write(progress(value))
        assert told(sidecar.read()) == seen
    if how == "by id":
        sidecar.session.set_max_rate("op-1", 2.0)
    else:
        sidecar.session.set_max_rate(None, 2.0)
        sidecar.hub.subscriptions.unsubscribe(sidecar.session, ["op-1"])
    assert told(sidecar.read()) == []
    assert sidecar.session.next_due == 0.5
    sidecar.wait(0.5)
    assert told(sidecar.read()) == [0.2]


def test_what_did_not_fit_was_not_told_and_does_not_rest():
    sidecar = Sidecar(interval=0.0)
    take_all(sidecar.hub.subscriptions.select(sidecar.session, EVERYTHING, replay="none"))
    sidecar.session.set_max_rate(None, 0.01)
    sidecar.write(*(progress(0.1, operation_id=f"op-{number}") for number in range(3)))
    frames = []
    for _ in range(3):
        assert sidecar.session.next_due is None
        frames += decoded(sidecar.session.take(1, sidecar.now, 0.0))
    assert [frame["operation_id"] for frame in frames] == ["op-0", "op-1", "op-2"]


def test_however_often_it_is_reported_what_rests_is_told_once():
    sidecar = Sidecar(interval=0.0)
    sidecar.hub.subscriptions.subscribe(sidecar.session, "op-1", replay=None, since=None)
    sidecar.session.set_max_rate("op-1", 0.01)
    for number in range(1_000):
        sidecar.write(progress(number / 1_000))
        sidecar.read()
    sidecar.wait(100.0)
    assert told(sidecar.read()) == [0.999]


def test_what_is_held_back_again_and_again_waits_once():
    limiter = ProgressRateLimiter(max_interval=100.0)
    limiter.mark_sent("a", 0.0)
    for number in range(1_000):
        limiter.hold_back("a", number, 100.0)
        if number % 2:
            limiter.resume("a")
    assert len(limiter._queue) == 1


def test_what_is_held_back_anew_is_due_by_its_latest_interval_only():
    limiter = ProgressRateLimiter(max_interval=10.0)
    limiter.mark_sent("a", 0.0)
    limiter.hold_back("a", "first", 1.0)
    limiter.resume("a")
    limiter.hold_back("a", "second", 3.0)
    assert limiter.next_due == 3.0
    assert limiter.take_due(2.0) == {}
    assert limiter.take_due(3.0) == {"a": "second"}
    assert limiter.next_due is None
