"""``watch()`` and ``wait()`` against real sidecars on a real Redis."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
from support.asyncio_runner import run_within as run
from support.conditions import eventually
from support.ports import free_port
from support.proxies import Proxy
from support.sample_events import completed, error, log, plan, progress, queued, result, status
from support.sidecars import SidecarThread
from support.task_lives import end, start

from celery_wsprogress import EventType, WebSocketEvent, create_token, wait, watch
from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.errors import CommandError, NoConnection

KEY = "a key that is long enough for HS256"

BEGINNING = (
    queued(at=1.0, operation_type="t"),
    status("started", at=2.0, metadata={}),
    progress(0.5, at=3.0),
)
END = (result(7, at=4.0), completed(at=4.0, duration=2.0))
TYPES = ["status", "status", "progress", "result", "completed"]


def nobody_is_connected(served):
    return served.sidecar.stats()["connected_clients"] == 0


def no_thread_is_left():
    return not [one for one in threading.enumerate() if one.name == "wsprogress-client"]


def assert_nothing_is_left(served):
    eventually(lambda: nobody_is_connected(served), what="the connection to be closed")
    assert no_thread_is_left()


async def watched(watch):
    return [event async for event in watch]


def test_it_gives_typed_events_to_the_end(served, write):
    write(*BEGINNING, *END)
    events = run(watched(watch("op-1", url=served.url)))
    assert [one.event_type for one in events] == TYPES
    assert {type(one) for one in events} == {WebSocketEvent}
    assert events[2].event_type is EventType.PROGRESS
    assert events[2].data["progress"] == 0.5
    assert [one.is_end for one in events] == [False] * 4 + [True]
    assert_nothing_is_left(served)


def test_the_same_without_async(served, write):
    write(*BEGINNING, *END)
    assert [one.event_type for one in watch("op-1", url=served.url)] == TYPES
    assert_nothing_is_left(served)


def test_the_same_without_async_where_a_loop_runs(served, write):
    write(*BEGINNING, *END)

    async def work():
        return [one.event_type for one in watch("op-1", url=served.url)]

    assert run(work()) == TYPES
    assert_nothing_is_left(served)


def test_it_can_be_iterated_again(served, write):
    write(*BEGINNING, *END)
    watching = watch("op-1", url=served.url)
    assert [*watching] == [*watching] == run(watched(watching))


def test_an_asynchronous_loop_that_is_left_closes_its_connection(served, write):
    write(*BEGINNING)

    async def work():
        async for event in watch("op-1", url=served.url):
            if event.event_type == EventType.PROGRESS:
                break
        # The loop still runs: it closes what was left.
        await asyncio.to_thread(eventually, lambda: nobody_is_connected(served))

    run(work())
    assert_nothing_is_left(served)


@pytest.mark.parametrize("leave", ["break", "raise"])
def test_a_loop_that_is_left_closes_its_connection(served, write, leave):
    write(*BEGINNING)

    def loop():
        for event in watch("op-1", url=served.url):
            if event.event_type == EventType.PROGRESS:
                if leave == "raise":
                    raise ZeroDivisionError
                break

    if leave == "raise":
        with pytest.raises(ZeroDivisionError):
            loop()
    else:
        loop()
    assert_nothing_is_left(served)


def test_a_workflow_is_watched_as_one_operation(served, write):
    write(plan(), *(event for one in "abc" for event in (*start(one), *end(one))))
    events = [*watch("c", url=served.url, workflow=True)]
    assert {one.operation_id for one in events} == {"workflow:c"}
    outcome = wait("c", 60, url=served.url, workflow=True)
    assert (outcome.state, outcome.result) == ("completed", "c")


def test_a_lost_connection_is_opened_again_and_nothing_is_missing_or_twice(served, write):
    write(*BEGINNING, log("before"))
    types = []
    with Proxy(served.port) as proxy:
        for event in watch("op-1", url=proxy.url):
            types.append(event.event_type)
            if event.event_type == EventType.LOG and event.data["message"] == "before":
                proxy.reset()
                write(log("after"), *END)
    assert types == ["status", "status", "progress", "log", "log", "result", "completed"]
    assert_nothing_is_left(served)


# Waiting for the end.


def test_the_outcome_of_what_completed(served, write):
    write(*BEGINNING, *END)
    outcome = wait("op-1", url=served.url)
    assert (outcome.operation_id, outcome.state, outcome.result) == ("op-1", "completed", 7)
    assert (outcome.error, outcome.error_type, outcome.duration) == (None, None, 2.0)
    assert outcome.completed
    assert outcome.event.event_type == EventType.COMPLETED
    assert_nothing_is_left(served)


@pytest.mark.parametrize("state", ["error", "cancelled"])
def test_the_outcome_of_what_did_not(served, write, state):
    write(*BEGINNING, error("broke", at=4.0, status=state))

    async def work():
        return await watch("op-1", url=served.url)

    for outcome in (wait("op-1", url=served.url), run(work())):
        assert (outcome.state, outcome.result) == (state, None)
        assert (outcome.error, outcome.error_type) == ("broke", "ValueError")
        assert not outcome.completed


def test_it_waits_for_a_limited_time(served):
    with pytest.raises(TimeoutError, match=r" within 0.2 s"):
        wait("op-1", 0.2, url=served.url)
    assert_nothing_is_left(served)


def test_a_server_that_does_not_answer_takes_no_longer():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TimeoutError, match=f"^no answer from the sidecar at {url} within 0.2"):
            wait("op-1", timeout=0.2, url=url)
    assert no_thread_is_left()


# What goes wrong.


def test_without_a_sidecar_it_says_where_and_how_to_start_it(monkeypatch):
    url = f"ws://localhost:{free_port()}"
    monkeypatch.setenv("WSPROGRESS_WS_URL", url)
    for use in (lambda: [*watch("x")], lambda: wait("x"), lambda: run(watched(watch("x")))):
        with pytest.raises(NoConnection, match=f"Cannot connect to {url}: nothing") as nobody:
            use()
        assert ["celery-wsprogress serve" in one for one in nobody.value.__notes__] == [True]
    assert no_thread_is_left()


def test_a_token_that_is_refused_is_said_with_the_code_and_what_to_do(redis_url, write):
    write(*BEGINNING, *END)
    with SidecarThread(BrokerAddress(redis_url), key=KEY) as served:
        for token, code in [(None, "unauthorized"), (create_token("other", key=KEY), "forbidden")]:
            with pytest.raises(CommandError) as refused:
                wait("op-1", url=served.url, token=token)
            assert refused.value.code == code
            [note] = refused.value.__notes__
            assert f"({code})" in note
            assert "create_token" in note
        granted = create_token("op-1", key=KEY)
        assert wait("op-1", url=served.url, token=lambda: granted).completed
        assert_nothing_is_left(served)


def test_nothing_is_connected_before_it_is_iterated():
    watching = watch("op-1", url="ws://user:hunter2@localhost:1")
    assert repr(watching) == "<watch of op-1 at ws://user:**@localhost:1>"
