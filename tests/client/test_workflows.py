"""Workflows in the Python client, before a real sidecar."""

from __future__ import annotations

import asyncio

import pytest
from support.asyncio_runner import run_within as run
from support.conditions import eventually
from support.proxies import Proxy
from support.sample_events import plan, progress
from support.sidecars import SidecarThread
from support.task_lives import end, start

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.client import Client
from celery_wsprogress.errors import CommandError

KEY = "a key that is long enough for HS256"


def test_a_workflow_is_watched_as_one_operation(served, write):
    async def work():
        async with Client(served.url) as client:
            write(plan())
            events = []
            async for event in client.watch("c", workflow=True):
                if not events:
                    for one in "abc":
                        write(*start(one), *end(one))
                events.append(event)
            return events, await client.tree("c")

    events, tree = run(work())
    assert {one["operation_id"] for one in events} == {"workflow:c"}
    assert [one["event_type"] for one in events][-2:] == ["result", "completed"]
    assert events[-2]["data"] == {"result": "c"}
    assert (tree["workflow_id"], tree["total"]) == ("c", 3)
    assert [one["state"] for one in tree["nodes"]] == ["completed"] * 4


def test_a_watch_leaves_the_events_of_others_to_who_iterates(served, write):
    async def work():
        async with Client(served.url) as client:
            await client.subscribe("other")
            write(*start("other"), *start("c"), *end("c"))
            watched = [one["operation_id"] async for one in client.watch("c")]
            return watched, (await anext(client))["operation_id"]

    watched, other = run(work())
    assert set(watched) == {"c"}
    assert other == "other"


def test_a_closed_client_ends_its_watches_and_none_watches_twice(served):
    async def work():
        async with Client(served.url) as client:
            watching = client.watch("c")
            waiting = asyncio.ensure_future(anext(watching))
            # Its subscription is sent first, and so answered first.
            await asyncio.sleep(0)
            await client.send_command("ping")
            with pytest.raises(ValueError, match="watched already"):
                await anext(client.watch("c"))
        with pytest.raises(StopAsyncIteration):
            await waiting

    run(work())


def test_a_tree_of_many_pages(served, write):
    nodes = [("group", -1, "g"), *[("task", 0, f"t{at}") for at in range(1_500)]]
    for first in range(0, len(nodes), 500):
        write(plan(*nodes[first : first + 500], held="g", first=first, tasks=1_500))
    eventually(lambda: served.sidecar.hub.counts["events"] == 4)

    async def work():
        async with Client(served.url) as client:
            return await client.tree("g"), await client.tree("unheard of")

    tree, unknown = run(work())
    assert [one["index"] for one in tree["nodes"]] == [*range(1_501)]
    assert unknown["nodes"] == []


def said(event):
    return event["operation_id"], event["event_type"]


def test_steps_are_followed_over_a_lost_connection(served, write):
    async def work():
        with Proxy(served.port) as proxy:
            async with Client(proxy.url) as client:
                await client.subscribe_steps("c")
                write(plan(), *start("a"))
                seen = [said(await anext(client))]
                proxy.cut()
                moved = progress(0.5, operation_id="a", run="run-a", at=2.5)
                write(moved, *end("a"), *start("b"))
                proxy.mend()
                while seen[-1][0] != "b":
                    seen.append(said(await anext(client)))
                return seen

    seen = run(work())
    assert seen[-2] == ("a", "completed")
    assert len(set(seen) - {("a", "status")}) == len(seen) - 2


def test_steps_that_a_token_does_not_grant_are_refused(redis_url, write):
    with SidecarThread(BrokerAddress(redis_url), key=KEY) as served:
        write(plan())

        async def work():
            token = create_token("c", key=KEY)
            async with Client(served.url, token=token) as client:
                with pytest.raises(CommandError):
                    await client.subscribe_steps("c")
                await client.subscribe("workflow:c")

        run(work())
