from __future__ import annotations

import asyncio
import threading

from support.asyncio_runner import run

from celery_wsprogress.hub.cancel_request import CancelOutcome, CancelRequest, CancelSending
from celery_wsprogress.sidecar.cancel_sender import MAX_WAITING, CancelSender


def request(name):
    return CancelRequest((name,), False, "")


class Broker:
    """Takes requests when it may; what it was given at once."""

    def __init__(self, reached=True):
        self.batches = []
        self.reached = reached
        self.may_take = threading.Event()
        self.began = threading.Event()

    def __call__(self, requests):
        self.batches.append([one.task_ids[0] for one in requests])
        self.began.set()
        self.may_take.wait(60)
        if isinstance(self.reached, Exception):
            raise self.reached
        return self.reached


async def outcome_of(sender, name="a"):
    sending = CancelSending()
    await sender.send(request(name), sending)
    return sending.outcome


def outcome_with(broker):
    broker.may_take.set()
    return run(outcome_of(CancelSender(broker)))


def test_what_the_broker_took():
    assert outcome_with(Broker()) is CancelOutcome.SENT


def test_a_broker_without_fanout():
    assert outcome_with(Broker(reached=False)) is CancelOutcome.NOT_SUPPORTED


def test_a_broker_that_is_down_is_logged_without_its_url(caplog):
    down = ConnectionError("redis://:password@broker")
    assert outcome_with(Broker(reached=down)) is CancelOutcome.UNAVAILABLE
    assert "ConnectionError" in caplog.text
    assert "password" not in caplog.text


def test_what_waits_meanwhile_is_sent_together():
    broker = Broker()

    async def send_three():
        sender = CancelSender(broker)
        first = asyncio.create_task(outcome_of(sender, "a"))
        await asyncio.to_thread(broker.began.wait, 60)
        others = [asyncio.create_task(outcome_of(sender, name)) for name in "bc"]
        await asyncio.sleep(0)
        broker.may_take.set()
        return await asyncio.gather(first, *others)

    assert run(send_three()) == [CancelOutcome.SENT] * 3
    assert broker.batches == [["a"], ["b", "c"]]


def test_a_broker_that_hangs_is_given_up_and_not_asked_again():
    broker = Broker()

    async def send_two():
        sender = CancelSender(broker, timeout=0.05)
        found = [await outcome_of(sender), await outcome_of(sender)]
        broker.may_take.set()
        last = CancelOutcome.UNAVAILABLE
        # Until the thread has noticed.
        while last is CancelOutcome.UNAVAILABLE:
            await asyncio.to_thread(bool)
            last = await outcome_of(sender)
        return [*found, last]

    unavailable = CancelOutcome.UNAVAILABLE
    assert run(send_two()) == [unavailable, unavailable, CancelOutcome.SENT]
    assert broker.batches == [["a"], ["a"]]


def test_no_more_than_a_number_wait():
    broker = Broker()

    async def send_many():
        sender = CancelSender(broker)
        first = asyncio.create_task(outcome_of(sender))
        await asyncio.to_thread(broker.began.wait, 60)
        waiting = [asyncio.create_task(outcome_of(sender)) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)
        refused = await outcome_of(sender)
        broker.may_take.set()
        return refused, {*await asyncio.gather(first, *waiting)}

    assert run(send_many()) == (CancelOutcome.UNAVAILABLE, {CancelOutcome.SENT})
