"""Whether an operation is held packed is nobody's business: everyone gets and sees the same."""

from __future__ import annotations

import gc

import pytest
from frames import decoded
from hypothesis import given
from hypothesis import strategies as st
from lives import (
    completed,
    doubted_logs,
    error,
    interleavings,
    log,
    lost,
    progress,
    stalled,
    status,
)
from msgspec import structs

from celery_wsprogress import holdings
from celery_wsprogress.access import Permit
from celery_wsprogress.holdings import Holdings, Limits
from celery_wsprogress.hub import Hub
from celery_wsprogress.listing import list_operations
from celery_wsprogress.selector import EVERYTHING
from celery_wsprogress.session import Session
from celery_wsprogress.wire import Batch


class Side:
    """A hub, and a client of it."""

    def __init__(self, *, packs, limits=None):
        self.hub = Hub(Holdings(limits or Limits()))
        self.reader = Session(1, Permit(None))
        self._packs = packs
        self._number = 0

    def write(self, *events, now=100.0):
        self._number += 1
        batch = Batch("w", self._number, events)
        self.hub.accept(batch, epoch="e1", position=f"{self._number}-0", now=now)
        if self._packs:
            self.pack()

    def pack(self):
        """Pack whatever may be."""
        for operation_id in list(self.hub.holdings._held):
            self.hub.holdings._pack(operation_id)

    def packed(self):
        """The ids of what is packed."""
        held = self.hub.holdings._held
        return [one for one, what in held.items() if isinstance(what, bytes)]

    def watch(self, by, operation_id, **how):
        if by == "*":
            self.hub.select(self.reader, EVERYTHING, replay=how.get("replay") or "all")
        else:
            self.hub.watch(self.reader, operation_id, **{"replay": None, "since": None, **how})

    def take(self, limit=1_000_000):
        return decoded(self.reader.take(limit, 200.0)) if self.reader.has_news else []


def named(events, operation_id):
    return [structs.replace(event, operation_id=operation_id) for event in events]


@st.composite
def logs_of_three(draw):
    """A log of three operations."""
    lives = [named(draw(doubted_logs()), f"op-{number}") for number in range(3)]
    return draw(interleavings(lives))


@given(logs_of_three(), st.data())
def test_a_client_gets_the_same(events, data):
    """Whenever it begins, by what, and however it reads; in the end the operations are the same."""
    sides = [Side(packs=False), Side(packs=True)]
    steps = st.sampled_from(["write", "write", "write", "watch", "read", "look"])
    waiting = list(events)
    names = st.sampled_from(["op-0", "op-1", "op-2"])
    while waiting:
        step = data.draw(steps)
        if step == "write":
            event = waiting.pop(0)
            for side in sides:
                side.write(event)
        elif step == "watch":
            by = data.draw(st.sampled_from(["id", "*"]))
            name = data.draw(names)
            replay = data.draw(st.sampled_from(["all", "last", "none"]))
            for side in sides:
                side.watch(by, name, replay=replay)
        elif step == "read":
            limit = data.draw(st.integers(1, 900))
            first, second = [side.take(limit) for side in sides]
            assert first == second
        else:
            name = data.draw(names)
            first, second = [side.hub.get(name) for side in sides]
            assert first == second
    first, second = [[side.take() for _ in range(6)] for side in sides]
    assert first == second
    first, second = [list_operations(side.hub.holdings, {}) for side in sides]
    assert first == second
    for name in ("op-0", "op-1", "op-2"):
        first, second = [side.hub.history(name, 1_000, 1_000_000) for side in sides]
        assert first == second
    unpacked, unpacked_again = [side.hub.stats()["history_bytes"] for side in sides]
    assert unpacked == unpacked_again, "history() has unpacked each of them"


def finished(number, *events):
    name = f"op-{number}"
    begun = status("started", operation_id=name, metadata={"n": number}, tags=["t"])
    return [begun, *named(events, name), completed(operation_id=name, duration=1.0)]


def test_the_newest_stay_as_they_are(monkeypatch):
    monkeypatch.setattr(holdings, "MAX_UNPACKED", 2)
    side = Side(packs=False)
    for number in range(5):
        side.write(*finished(number))
    assert side.packed() == ["op-0", "op-1", "op-2"]
    assert side.hub.get("op-1")["metadata"] == {"n": 1}
    assert side.packed() == ["op-0", "op-2", "op-3"], "looked at, it is one of the newest"


def test_what_has_spoken_before_it_was_packed_keeps_its_turn():
    side = Side(packs=True)
    side.write(*finished(1, progress(0.5)))
    side.watch("id", "op-1")
    side.watch("id", "op-2")
    side.write(log("waits", operation_id="op-2"))
    again = [status("started", run="b", metadata={}), progress(0.1, run="b")]
    side.write(*named(again, "op-1"))
    assert [frame["operation_id"] for frame in side.take()] == ["op-1"] * 5 + ["op-2"]


def test_what_begins_again_is_unpacked_and_goes_on():
    side = Side(packs=True)
    side.write(status("started", run="a", metadata={}), completed(run="a"))
    assert side.packed() == ["op-1"]
    side.write(status("started", run="b", metadata={}))
    assert side.packed() == []
    assert side.hub.get("op-1")["state"] == "running"
    assert side.hub.holdings.active == 1
    side.write(completed(run="b"))
    assert side.packed() == ["op-1"]
    assert len(side.hub.history("op-1", 10, 100_000)[0]) == 4


def test_what_was_given_up_speaks_again():
    side = Side(packs=True)
    side.write(status("started", metadata={}), progress(0.5), stalled(), lost())
    assert side.packed() == ["op-1"]
    side.write(log("after all"))
    assert side.hub.get("op-1")["state"] == "running"


def test_a_history_that_is_read_is_not_made_twice():
    """Nobody gets a copy: who begins to read it while it is packed reads the same one."""
    side = Side(packs=True)
    side.write(*finished(0, log("a")))
    others = [Session(number, Permit(None)) for number in (2, 3)]
    for one in others:
        side.hub.select(one, EVERYTHING, replay="all")
    read = {id(history) for one in others for history in one._pending}
    assert len(read) == 1
    assert side.packed() == ["op-0"]
    side.hub.watch(side.reader, "op-0", replay="all", since=None)
    assert {id(history) for history in side.reader._pending} == read
    for one in (*others, side.reader):
        one.take(1_000_000, 200.0)
    side.pack()
    gc.collect()
    assert len(side.hub.holdings._in_use) == 0, "nobody reads it any more"


def test_what_it_takes_is_counted_packed_or_not():
    side = Side(packs=False)
    for number in range(3):
        side.write(*finished(number, log("x" * 2_000)))
    whole = side.hub.stats()["history_bytes"]
    side.pack()
    packed = side.hub.stats()["history_bytes"]
    assert packed == sum(len(one) for one in side.hub.holdings._held.values()) < whole
    for number in range(3):
        side.hub.get(f"op-{number}")
    assert side.hub.stats()["history_bytes"] == whole


def test_packed_ones_are_let_go_as_all_are():
    side = Side(packs=True, limits=Limits(max_finished=2, max_age=10.0))
    for number in range(4):
        side.write(*finished(number), now=100.0 + number)
    assert side.packed() == ["op-2", "op-3"]
    assert side.hub.holdings.has_ended("op-0")
    assert side.hub.holdings.gone is not None
    gone = side.hub.holdings.gone
    side.hub.holdings.expire(112.0)
    assert side.packed() == ["op-3"]
    assert side.hub.holdings.gone > gone
    side.hub.holdings.expire(113.0)
    assert side.hub.stats()["held_operations"] == side.hub.stats()["history_bytes"] == 0


def test_bytes_are_bounded_with_packed_ones():
    side = Side(packs=True, limits=Limits(max_history_bytes=20_000))
    side.write(status("started", operation_id="running", metadata={}))
    for number in range(20):
        side.write(*finished(number, log("x" * 3_000)))
    assert 10_000 < side.hub.stats()["history_bytes"] <= 20_000
    assert side.hub.get("running") is not None


def test_pages_of_packed_ones():
    side = Side(packs=True)
    for number in range(5):
        side.write(*finished(number))
    side.write(status("started", operation_id="running", metadata={}))
    pages, cursor = [], None
    while cursor is not None or not pages:
        page = list_operations(side.hub.holdings, {"limit": 2, "cursor": cursor})
        pages.append([one["operation_id"] for one in page["operations"]])
        cursor = page["next"]
    assert pages == [["running", "op-4"], ["op-3", "op-2"], ["op-1", "op-0"]]
    found = list_operations(side.hub.holdings, {"state": "running"})["operations"]
    assert [one["operation_id"] for one in found] == ["running"]
    found = list_operations(side.hub.holdings, {"tag": "t", "state": "completed"})["operations"]
    assert len(found) == 5
    assert len(side.packed()) == 5, "nothing was unpacked for good"


@pytest.mark.parametrize("number", [2**63, -(2**70), 10**300])
def test_an_integer_of_any_size_is_kept(number):
    """MessagePack has none of over 64 bits: such an operation stays as it is."""
    side = Side(packs=True)
    side.write(status("started", metadata={"n": number}), error())
    assert side.hub.get("op-1")["metadata"] == {"n": number}
