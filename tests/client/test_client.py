"""The client for many operations on one connection, against a real sidecar."""

from __future__ import annotations

import asyncio

import pytest
from celery import Celery
from celery.result import AsyncResult, GroupResult
from support.asyncio_runner import run_within as run
from support.sample_events import log, plan
from support.task_lives import end, start

from celery_wsprogress import Client, EventType, Operation, WebSocketEvent

APP = Celery("clients", broker="memory://", backend="cache+memory://", set_as_current=False)


def result_of(task_id):
    return AsyncResult(task_id, app=APP)


def test_it_waits_for_many_on_one_connection(served, write):
    ids = [f"op-{number}" for number in range(20)]

    async def work():
        async with Client(served.url) as client:
            waiting = asyncio.gather(*(client.wait(result_of(one), 60) for one in ids))
            write(*(event for one in ids for event in start(one)))
            write(*(event for one in ids for event in end(one)))
            return await waiting, served.sidecar.stats()["connected_clients"]

    outcomes, connections = run(work())
    assert [one.operation_id for one in outcomes] == ids
    assert [one.result for one in outcomes] == ids
    assert connections == 1


def test_its_address_is_that_of_the_environment(served, monkeypatch):
    monkeypatch.setenv("WSPROGRESS_WS_URL", served.url)

    async def work():
        async with Client() as client:
            return client.url, await client.get("nobody knows it")

    assert run(work()) == (served.url, None)


def test_it_takes_results_and_gives_typed_events_and_operations(served, write):
    async def work():
        async with Client(served.url) as client:
            one, other = result_of("a"), result_of("b")
            await client.subscribe(one, other)
            write(*start("a"), *start("b"))
            events = [await anext(client) for _ in range(4)]
            await client.unsubscribe(one)
            write(log("unseen", operation_id="a", run="run-a"), *end("b"))
            events += [await anext(client) for _ in range(2)]
            return events, await client.get(one), await client.get("b")

    events, running, completed = run(work())
    assert {type(event) for event in events} == {WebSocketEvent}
    assert [event.event_type for event in events[4:]] == [EventType.RESULT, EventType.COMPLETED]
    assert type(running) is Operation
    assert (running.operation_id, running.state) == ("a", "running")
    assert (completed.state, completed.progress) == ("completed", 1.0)


def test_a_group_is_watched_as_one(served, write):
    nodes = (("group", -1, "g"), ("task", 0, "a"), ("task", 0, "b"))
    write(plan(*nodes, held="g"), *(event for one in "ab" for event in (*start(one), *end(one))))

    async def work():
        async with Client(served.url) as client:
            group = GroupResult("g", [result_of("a"), result_of("b")], app=APP)
            return await client.wait(group, 60), await client.get(group)

    outcome, operation = run(work())
    assert outcome.operation_id == operation.operation_id == "workflow:g"
    assert outcome.completed


@pytest.mark.parametrize("how", ["break", "cancel"])
def test_a_watch_that_is_left_is_unsubscribed_and_can_be_watched_again(served, write, how):
    async def leave(client):
        if how == "break":
            async for _ in client.watch("a"):
                break
            return
        waiting = asyncio.ensure_future(client.wait("a"))
        while not served.sidecar.stats()["subscriptions"]:
            await client.send_command("ping")
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    async def work():
        async with Client(served.url) as client:
            write(*start("a"))
            await leave(client)
            while served.sidecar.stats()["subscriptions"]:
                await client.send_command("ping")
            write(log("unseen", operation_id="a", run="run-a"))
            await client.subscribe("other")
            write(*start("other"))
            first = await anext(client)
            write(*end("a"))
            return first, (await client.wait("a", 60)).result

    first, result = run(work())
    assert first.operation_id == "other"
    assert result == "a"


def test_a_watch_that_is_left_is_watched_again_at_once(served, write):
    write(*start("a"))

    async def work():
        async with Client(served.url) as client:
            for _ in range(3):
                events = client.watch("a")
                await anext(events)
                await events.aclose()
            write(*end("a"))
            return [(await client.wait("a", 60)).result for _ in range(2)]

    assert run(work()) == ["a", "a"]


def test_a_watch_begins_at_the_start_though_another_subscription_has_shown_all(served, write):
    async def work():
        async with Client(served.url) as client:
            await client.subscribe("*")
            write(*start("a"), *end("a"))
            async for event in client:
                if event.is_end:
                    break
            return [event.event_type async for event in client.watch("a")]

    assert run(work()) == ["status", "status", "result", "completed"]
