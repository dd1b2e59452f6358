"""The client against real sidecars on a real Redis, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import asynccontextmanager

import pytest
from support.asyncio_runner import run_within as run
from support.conditions import eventually
from support.event_log import log_writer
from support.proxies import Proxy
from support.sample_events import completed, log, progress, queued, result, status
from support.sidecars import SidecarProcess, SidecarThread, write_until_one_falls
from websockets.asyncio.server import serve

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.client import Client, Connected, Disconnected
from celery_wsprogress.client import reconnecting_client as module
from celery_wsprogress.errors import CommandError, NoConnection

KEY = "a key that is long enough for HS256"

LIFE = (
    queued(at=1.0, operation_type="t"),
    status("started", at=2.0, metadata={}),
    progress(0.5, at=3.0),
    log("half", at=3.0),
    result(7, at=4.0),
    completed(at=4.0, duration=2.0),
)


@pytest.fixture
def proxy(served):
    with Proxy(served.port) as proxy:
        yield proxy


async def until_end(client, kind="completed"):
    events = []
    async for event in client:
        events.append(event)
        if event["event_type"] == kind:
            return events
    raise AssertionError("closed before the end")


def test_it_gives_the_events_of_an_operation(served, write):
    async def work():
        async with Client(served.url) as client:
            assert client.welcome["event_type"] == "connected"
            (reply,) = await client.subscribe("op-1")
            assert reply["operation"] is None
            write(*LIFE)
            return await until_end(client)

    events = run(work())
    assert [one["event_type"] for one in events] == [
        *("status", "status", "progress", "log", "result", "completed")
    ]
    assert events[4]["data"] == {"result": 7}


def test_commands_and_their_replies(served, write):
    write(*LIFE)
    eventually(lambda: served.sidecar.hub.get("op-1"))

    async def work():
        async with Client(served.url) as client:
            replies = await asyncio.gather(
                client.send_command("get_stats"),
                client.send_command("get_operation", operation_id="op-1"),
                client.send_command("get_operation", operation_id="op-2"),
                client.send_command("list_operations", limit=1),
            )
            with pytest.raises(CommandError) as refused:
                await client.send_command("dance")
            return *replies, refused.value

    stats, known, unknown, listed, refused = run(work())
    assert stats["stats"]["connected_clients"] == 1
    assert known["operation"]["status"] == "completed"
    assert unknown["operation"] is None
    assert len(listed["operations"]) == 1
    assert (refused.code, str(refused)) == ("unknown_command", "Unknown command: dance")


def test_a_reply_comes_though_nobody_takes_the_events(served, write, monkeypatch):
    monkeypatch.setattr(module, "MAX_QUEUED", 3)
    write(*LIFE)
    eventually(lambda: served.sidecar.hub.get("op-1"))

    async def work():
        async with Client(served.url) as client:
            await client.subscribe("op-1")
            await client.send_command("get_stats")
            return await until_end(client)

    assert len(run(work())) == len(LIFE)


@pytest.mark.parametrize("variable", ["http_proxy", "HTTPS_PROXY", "ws_proxy"])
def test_no_proxy_of_the_environment_stands_before_this_machine(served, monkeypatch, variable):
    # Port 9 is nobody's: what goes there fails.
    monkeypatch.setenv(variable, "http://127.0.0.1:9")

    async def work():
        async with Client(served.url) as client:
            return await client.send_command("ping")

    assert run(work())["status"] == "pong"


def test_many_operations_and_everything(served, write):
    ids = [f"{number:0>300}" for number in range(300)]

    async def work():
        async with Client(served.url) as some, Client(served.url) as everything:
            await some.subscribe(*ids)
            await some.unsubscribe(*ids[100:])
            await everything.subscribe("*")
            write(*(log("x", operation_id=one) for one in reversed(ids)))
            seen = [(await anext(some))["operation_id"] for _ in range(100)]
            assert len([await anext(everything) for _ in ids]) == 300
            return seen, served.sidecar.stats()["subscriptions"]

    seen, subscriptions = run(work())
    assert set(seen) == set(ids[:100])
    assert subscriptions == 101


def test_closing_ends_the_iteration(served):
    async def work():
        async with Client(served.url) as client:
            waiting = asyncio.create_task(anext(client, "nothing more"))
            await client.subscribe("op-1")
            await client.close()
            return await waiting

    assert run(work()) == "nothing more"
    eventually(lambda: served.sidecar.stats()["connected_clients"] == 0)


def test_a_sidecar_is_killed_and_restarted_and_nothing_is_missing_or_twice(redis_url):
    count, changes = 600, []
    go_on = threading.Semaphore(0)

    def keep_writing():
        with log_writer(redis_url) as write:
            write(status("started", at=1.0, metadata={}))
            for number in range(count):
                if number % 100 == 99:
                    go_on.acquire(timeout=60)
                write(log(str(number)))
            write(completed(at=2.0, duration=1.0))

    async def work(sidecar):
        async with Client(sidecar.url, on_change=changes.append) as client:
            await client.subscribe("op-1")
            writing = asyncio.create_task(asyncio.to_thread(keep_writing))
            seen = []
            async for event in client:
                seen.append(event)
                if event["data"].get("message") in {"98", "298"}:
                    await asyncio.to_thread(sidecar.kill)
                    go_on.release(2)  # 200 lines while nobody listens
                    await asyncio.to_thread(sidecar.start)
                elif event["data"].get("message") == "498":
                    go_on.release(2)
                elif event["event_type"] == "completed":
                    break
            await writing
            return seen

    with SidecarProcess(redis_url) as sidecar:
        seen = run(work(sidecar))
    assert [one["data"]["message"] for one in seen if one["event_type"] == "log"] == [
        str(number) for number in range(count)
    ]
    assert len([one for one in seen if one["event_type"] == "status"]) == 1
    assert len([one for one in changes if isinstance(one, Connected) and one.reconnected]) == 2
    assert [one for one in changes if isinstance(one, Disconnected)]


def test_everything_goes_on_after_a_restart(redis_url):
    async def work(sidecar, write):
        async with Client(sidecar.url) as client:
            await client.subscribe("*")
            write(status("started", at=1.0, metadata={}), log("1"))
            seen = await until_end(client, "log")
            await asyncio.to_thread(sidecar.stop)
            write(log("2"), status("started", at=1.0, metadata={}, operation_id="other"))
            await asyncio.to_thread(sidecar.start)
            write(completed(at=2.0, duration=1.0))
            while len(seen) < 5:
                seen.append(await anext(client))
            return [(one["operation_id"], one["event_type"]) for one in seen]

    with SidecarProcess(redis_url) as sidecar, log_writer(redis_url) as write:
        seen = run(work(sidecar, write))
    assert [kind for name, kind in seen if name == "op-1"] == ["status", "log", "log", "completed"]
    assert ("other", "status") in seen


def test_it_resumes_exactly_when_only_the_connection_was_lost(proxy, write):
    changes = []

    async def work():
        async with Client(proxy.url, on_change=changes.append) as client:
            await client.subscribe("op-1")
            write(*LIFE[:4])
            seen = await until_end(client, "log")
            proxy.reset()
            write(*LIFE[4:])
            return seen + await until_end(client)

    assert len(run(work())) == len(LIFE)
    assert [type(one) for one in changes] == [Connected, Disconnected, Connected]
    assert changes[1].code == 1006
    assert changes[2] == Connected(reconnected=True, recovered=True)


def test_a_command_waits_for_the_next_connection(proxy):
    async def work():
        async with Client(proxy.url) as client:
            proxy.reset()
            return await client.send_command("ping")

    assert run(work())["status"] == "pong"


# Tokens.


def test_a_token_is_shown_in_a_command(redis_url, write):
    write(*LIFE)
    token = create_token(["op-1"], 60, key=KEY)

    async def work(url):
        async with Client(url, token=token) as client:
            await client.subscribe("op-1")
            with pytest.raises(CommandError) as refused:
                await client.subscribe("op-2")
            assert refused.value.code == "forbidden"
            assert "op-2" not in client._resume_state.subscribed
            await until_end(client)
        async with Client(url) as client:
            with pytest.raises(CommandError) as refused:
                await client.subscribe("op-1")
            assert refused.value.code == "unauthorized"
        with pytest.raises(CommandError):
            async with Client(url, token="nonsense"):
                pass

    with SidecarThread(BrokerAddress(redis_url), key=KEY) as sidecar:
        run(work(sidecar.url))


def test_a_token_that_expires_ends_it_and_a_new_one_does_not(redis_url, write):
    tokens = [create_token(["op-1"], seconds, key=KEY) for seconds in (2, 3600)]
    asked = []

    def fresh():
        asked.append(tokens[min(len(asked), 1)])
        return asked[-1]

    async def work(url):
        async with Client(url, token=fresh) as renewed, Client(url, token=tokens[0]) as stale:
            await renewed.subscribe("op-1")
            await stale.subscribe("op-1")
            with pytest.raises(NoConnection) as over:
                await anext(stale)
            await renewed.send_command("ping")
            write(*LIFE)
            await until_end(renewed)
            return over.value

    with SidecarThread(BrokerAddress(redis_url), key=KEY) as sidecar:
        over = run(work(sidecar.url))
    assert over.code == 4001
    assert tokens[0] not in str(over)


# Servers that send it away, and those that are none.


@asynccontextmanager
async def server(meet, **how):
    async with serve(meet, "127.0.0.1", 0, **how) as running:
        port = running.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}"


WELCOME = json.dumps({"event_type": "connected", "operation_id": "system", "data": {}})


@pytest.mark.parametrize("code", [1008, 1009, 1003, 1007, 4001, 4500])
def test_it_stays_away_when_it_is_told_to(code):
    met = []

    async def meet(websocket):
        met.append(websocket)
        await websocket.send(WELCOME)
        await websocket.close(code, "go away")

    async def work():
        async with server(meet) as url, Client(url) as client:
            with pytest.raises(NoConnection) as over:
                await anext(client)
            with pytest.raises(NoConnection):
                await client.send_command("ping")
            return over.value

    over = run(work())
    assert (over.code, over.reason) == (code, "go away")
    assert len(met) == 1


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 4008, 4000])
def test_it_comes_back_otherwise(code):
    met, changes = [], []

    async def meet(websocket):
        met.append(websocket)
        await websocket.send(WELCOME)
        if len(met) == 1:
            await websocket.close(code, '{"retry_ms": 12}')
        else:
            await websocket.send(json.dumps({"event_type": "log", "data": {}}))
            await websocket.wait_closed()

    async def work():
        async with server(meet) as url, Client(url, on_change=changes.append) as client:
            return await anext(client)

    assert run(work())["event_type"] == "log"
    assert len(met) == 2
    lost = next(one for one in changes if isinstance(one, Disconnected))
    assert lost.code == code
    assert lost.retry_in == 0.012 if code == 1012 else 0 <= lost.retry_in <= 0.5


def test_what_overlaps_when_nothing_was_recovered_is_shown_once():
    asked = []

    async def meet(websocket):
        await websocket.send(WELCOME)
        asked.append(json.loads(await websocket.recv()))
        reply = {"event_type": "reply", "data": {}, "recovered": {"op-1": False}}
        await websocket.send(json.dumps({**reply, "request_id": asked[-1]["request_id"]}))
        for number in range(2 * len(asked)):
            event = {"event_type": "log", "operation_id": "op-1", "data": {}}
            await websocket.send(json.dumps({**event, "event_id": f"e.{number}"}))
        if len(asked) > 1:
            await websocket.wait_closed()

    async def work():
        async with server(meet) as url, Client(url) as client:
            await client.subscribe("op-1")
            return [(await anext(client))["event_id"] for _ in range(4)]

    assert run(work()) == ["e.0", "e.1", "e.2", "e.3"]
    assert asked[1]["since"] == {"op-1": "e.1"}


@pytest.mark.parametrize("said", ["{", "[]", '{"event_type": "progress"}'])
def test_what_is_no_sidecar_is_not_taken_for_one(said):
    async def meet(websocket):
        await websocket.send(said)
        await websocket.wait_closed()

    async def work():
        async with server(meet) as url:
            with pytest.raises(NoConnection, match="not a sidecar"):
                async with Client(url):
                    pass

    run(work())


def test_a_server_that_goes_mad_is_left():
    async def meet(websocket):
        await websocket.send(WELCOME)
        await websocket.send("{")
        await websocket.wait_closed()

    async def work():
        async with server(meet) as url, Client(url) as client:
            with pytest.raises(NoConnection, match="not JSON"):
                await anext(client)

    run(work())


def test_nobody_there_is_said_at_once_and_without_a_password():
    async def work():
        async with Client("ws://user:hunter2@localhost:1"):
            pass

    with pytest.raises(NoConnection) as nobody:
        run(work())
    assert str(nobody.value) == "Cannot connect to ws://user:**@localhost:1: nothing listens there"


def unavailable(times, retry_after="0"):
    """Refuse so many handshakes, as a sidecar does that has not read its log yet."""
    refused = []

    def answer(connection, request):
        if len(refused) == times:
            return None
        refused.append(request)
        response = connection.respond(503, "Not yet\n")
        if retry_after is not None:
            response.headers["Retry-After"] = retry_after
        return response

    return refused, answer


async def welcome(websocket):
    await websocket.send(WELCOME)
    await websocket.wait_closed()


def test_a_sidecar_that_has_to_read_its_log_first_is_waited_for():
    refused, answer = unavailable(2)

    async def work():
        async with server(welcome, process_request=answer) as url, Client(url) as client:
            return client.welcome["event_type"]

    assert run(work()) == "connected"
    assert len(refused) == 2


@pytest.mark.parametrize("retry_after", [None, "61", "3600"])
def test_one_that_does_not_say_when_is_not(retry_after):
    refused, answer = unavailable(2, retry_after)

    async def work():
        async with server(welcome, process_request=answer) as url:
            with pytest.raises(NoConnection, match="HTTP 503 Not yet"):
                await Client(url).__aenter__()

    run(work())
    assert len(refused) == 1


def test_coming_back_it_waits_at_least_as_long_as_it_is_asked_to():
    changes, met, refused = [], [], []

    async def meet(websocket):
        met.append(websocket)
        await websocket.send(WELCOME)
        if len(met) == 1:
            await websocket.close(1012, '{"retry_ms": 0}')
        else:
            await websocket.send(json.dumps({"event_type": "log", "data": {}}))
            await websocket.wait_closed()

    def refuse_the_second(connection, request):
        if not met or refused:
            return None
        refused.append(request)
        response = connection.respond(503, "Not yet\n")
        response.headers["Retry-After"] = "1"
        return response

    async def work():
        async with (
            server(meet, process_request=refuse_the_second) as url,
            Client(url, on_change=changes.append) as client,
        ):
            return await anext(client)

    assert run(work())["event_type"] == "log"
    lost = [one for one in changes if isinstance(one, Disconnected)]
    assert lost[0].retry_in == 0.0
    assert lost[1].retry_in >= 1.0
    assert lost[1].reason == "HTTP 503 Not yet"


def test_who_takes_events_too_slowly_gets_a_snapshot_if_it_asked_for_it(served, write, monkeypatch):
    monkeypatch.setattr(module, "MAX_QUEUED", 3)
    changes = []

    def write_until_it_falls():
        write_until_one_falls(served, lambda: write(*(log("x" * 7_000) for _ in range(4))))
        write(completed(at=4.0, duration=2.0))

    async def work():
        async with Client(served.url, on_change=changes.append, resync=True) as client:
            await client.subscribe("op-1")
            await asyncio.to_thread(write_until_it_falls)
            return await until_end(client)

    write(status("started", at=2.0, metadata={}))
    events = run(work())
    # It may fall behind more than once.
    told = [one for one in events if one["event_type"] == "snapshot"]
    assert told
    missed = sum(one["missed"] for one in told)
    assert served.sidecar.hub.get("op-1")["event_count"] == len(events) - len(told) + missed
    assert [type(one) for one in changes] == [Connected]
