"""Waves: everyone is written to, who has many watchers takes turns, and no fault ends one."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from loops import run

from celery_wsprogress.access import Permit
from celery_wsprogress.session import Session
from celery_wsprogress.sidecar.waves import AT_A_TIME, Waves


class Outlet:
    """Notes what it is made to do, and fails if it is to."""

    def __init__(self, note, *, fails=False):
        self.passed_on = []
        self._note, self._fails = note, fails

    def flush(self):
        self._note()
        if self._fails:
            raise RuntimeError("broken")

    def pass_on(self, frames):
        self.passed_on.append(frames)


class Written:
    """Sessions that note in which order they are written to."""

    def __init__(self):
        self.order = []
        self.observed = []
        self.waves = Waves(self.observed.append)

    def sessions(self, name, count, *, fails=()):
        def outlet(number):
            note = partial(self.order.append, (name, number))
            return Outlet(note, fails=number in fails)

        return [Session(n, Permit(None), outlet(n)) for n in range(count)]

    async def settle(self):
        for _ in range(100):
            await asyncio.sleep(0)


@pytest.fixture
def written():
    return Written()


@pytest.mark.parametrize("count", [0, 1, AT_A_TIME, AT_A_TIME + 1, 5 * AT_A_TIME + 3])
def test_everyone_is_written_to_once_and_in_order(written, count):
    async def scenario():
        written.waves.begin(written.sessions("a", count), 1.0)
        assert len(written.order) == min(count, AT_A_TIME), "the beginning at once"
        await written.settle()

    run(scenario())
    assert written.order == [("a", number) for number in range(count)]
    assert written.observed == [1.0] * (count > 0)


def test_a_small_wave_does_not_wait_for_a_large_one(written):
    async def scenario():
        written.waves.begin(written.sessions("large", 10 * AT_A_TIME), 1.0)
        await asyncio.sleep(0)
        written.waves.begin(written.sessions("middling", 2 * AT_A_TIME), 2.0)
        written.waves.begin(written.sessions("small", 1), None)
        await written.settle()

    run(scenario())
    names = [name for name, _ in written.order]
    assert names.index("small") < names.index("middling") + 2 * AT_A_TIME
    assert written.observed == [2.0, 1.0]
    assert len(written.order) == 12 * AT_A_TIME + 1


@pytest.mark.parametrize("number", [3, AT_A_TIME + 3])
def test_who_cannot_be_written_to_costs_nobody_else_anything(written, number, caplog):
    async def scenario():
        written.waves.begin(written.sessions("a", 2 * AT_A_TIME, fails={number}), 1.0)
        await written.settle()

    run(scenario())
    assert len(written.order) == 2 * AT_A_TIME
    assert [record.message for record in caplog.records] == ["A client could not be written to"]
