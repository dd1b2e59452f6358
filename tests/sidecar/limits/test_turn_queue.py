"""Clients take fair turns: addresses first, then the connections of one, within their budgets."""

from __future__ import annotations

import asyncio
import logging

import pytest
from support.asyncio_runner import run

from celery_wsprogress.sidecar.limits import turn_queue
from celery_wsprogress.sidecar.limits.budget import Budget
from celery_wsprogress.sidecar.limits.stepped_work import SteppedWork
from celery_wsprogress.sidecar.limits.turn_queue import TurnQueue


class Processor:
    """A clock of processor time, which turns move on."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Client:
    """A client with so many turns to take, each of which costs something."""

    def __init__(self, name, address, turns, taken, *, processor=None, cost=0.0, burst=1000.0):
        self.name, self.address, self.left, self.taken = name, address, turns, taken
        self.processor, self.cost = processor, cost
        self.budget = Budget(0.01, burst)
        self.failed = False

    def take_turn(self):
        self.taken.append(self.name)
        self.left -= 1
        if self.processor is not None:
            self.processor.now += self.cost
        if self.left < 0:
            raise ValueError
        return self.left > 0

    def fail(self):
        self.failed = True


def queue(processor, burst=1000.0):
    return TurnQueue(lambda: Budget(0.01, burst), processor)


async def settled(turns):
    while turns._ready:  # noqa: ASYNC110 - a test of the queue, which knows no events
        await asyncio.sleep(0)


def taken_by(clients, processor=None, **how):
    async def scenario():
        turns = queue(processor or Processor(), **how)
        for one in clients:
            turns.add(one)
            turns.add(one)
        await settled(turns)

    run(scenario())


def test_addresses_take_turns_and_so_do_their_connections():
    taken = []
    taken_by(
        [
            *(Client(f"a{number}", "a", 2, taken) for number in range(3)),
            Client("b", "b", 3, taken),
            Client("c", "c", 1, taken),
        ]
    )
    assert taken == ["a0", "b", "c", "a1", "b", "a2", "b", "a0", "a1", "a2"]


def test_in_one_iteration_of_the_loop_turns_take_a_bounded_time():
    processor, taken, seen = Processor(), [], []

    async def scenario():
        turns = queue(processor)
        for number in range(3):
            cost = turn_queue.TICK / 2.5
            turns.add(Client(number, str(number), 3, taken, processor=processor, cost=cost))
        while turns._ready:
            await asyncio.sleep(0)
            seen.append(len(taken))

    run(scenario())
    assert seen == [3, 6, 9]


@pytest.mark.parametrize("whose", ["client", "address"])
def test_whose_budget_is_used_up_waits_and_the_others_go_on(whose):
    processor, taken = Processor(), []
    bursts = {whose: 0.5}
    greedy = Client(
        "greedy", "a", 5, taken, processor=processor, cost=1.0, burst=bursts.get("client", 1000.0)
    )

    async def scenario():
        turns = queue(processor, bursts.get("address", 1000.0))
        turns.add(greedy)
        turns.add(Client("other", "b", 20, taken))
        await settled(turns)
        assert taken.count("greedy") == 1
        assert taken.count("other") == 20
        assert turns.delayed == 1
        assert greedy.left == 4

    run(scenario())


def test_an_address_is_forgotten_once_it_has_its_whole_budget():
    one = Client("one", "a", 1, [], processor=Processor(), cost=1.0)

    async def scenario():
        turns = queue(one.processor)
        turns.add(one)
        await settled(turns)
        turns.forget(0.0)
        assert set(turns._addresses) == {"a"}
        turns.forget(float("inf"))
        assert set(turns._addresses) == set()

    run(scenario())


def test_a_fault_of_one_client_ends_that_client_only(caplog):
    taken = []
    broken, other = Client("broken", "a", 0, taken), Client("other", "a", 3, taken)
    with caplog.at_level(logging.ERROR):
        taken_by([broken, other])
    assert broken.failed
    assert not other.failed
    assert taken.count("other") == 3
    assert ") could not be processed" in caplog.text


def test_work_in_steps_is_done_in_turns_and_raises_what_a_step_raises():
    def counting(count, error=None):
        for _ in range(count):
            yield
        if error is not None:
            raise error
        return count

    async def scenario():
        turns = queue(Processor())
        works = [SteppedWork(counting(one), "a", Budget(1, 1)) for one in (3, 0)]
        assert await asyncio.gather(*(one.run(turns) for one in works)) == [3, 0]
        with pytest.raises(KeyError):
            await SteppedWork(counting(2, KeyError("a")), "a", Budget(1, 1)).run(turns)
        gone = asyncio.create_task(SteppedWork(counting(10**9), "a", Budget(1, 1)).run(turns))
        await asyncio.sleep(0)
        gone.cancel()
        await settled(turns)

    run(scenario())
