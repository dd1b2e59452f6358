"""The ASGI application under a real server, with a real Redis, through real sockets."""

from __future__ import annotations

import http.client
import json

import pytest
from support.asgi_servers import asgi_server
from support.conditions import eventually
from support.event_log import log_writer
from support.event_sources import EventSource
from support.sample_events import completed, log, progress, status
from support.wire_document import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from celery_wsprogress import create_token
from celery_wsprogress.contrib.asgi import wsprogress_asgi
from celery_wsprogress.errors import ConfigurationError

KEY = "a key that is long enough for HS256"


async def own_app(scope, receive, send):
    """The user's application: it says which path it was asked for."""
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan here")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"own " + scope["path"].encode()})


async def permit(scope):
    """As an application that keeps the user in a cookie."""
    headers = dict(scope["headers"])
    user = headers.get(b"cookie", b"").decode().removeprefix("user=")
    return {"ops": [f"{user}-1", f"{user}-2"], "can": ["watch"], "sub": user} if user else None


@pytest.fixture(scope="module")
def write(redis_server):
    redis_server.clear()
    with log_writer(redis_server.url) as write:
        yield write


@pytest.fixture(scope="module")
def address(redis_server, write):
    """A server of which everything is open."""
    app = wsprogress_asgi(own_app, url=redis_server.url, insecure=True)
    with asgi_server(app) as address:
        yield address


@pytest.fixture(scope="module")
def guarded(redis_server, write):
    """A server where a function decides."""
    app = wsprogress_asgi(own_app, permit=permit, url=redis_server.url, origins=["https://a.test"])
    with asgi_server(app) as address:
        yield address


def get(address, path, method="GET", **headers):
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request(
            method, path, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        response = connection.getresponse()
        return response.status, response.read(), response
    finally:
        connection.close()


def call(client, **command):
    client.send(json.dumps(command))
    while (frame := json.loads(client.recv(60)))["event_type"] != "reply":
        pass
    return frame


def life(operation_id):
    """What a task says, up to its end."""
    return [
        status("started", operation_id=operation_id),
        progress(0.5, operation_id=operation_id),
    ]


def test_a_websocket_gets_what_the_sidecar_would_send(address, write):
    with connect(f"ws://{address}/wsprogress/ws/ws-1") as client:
        assert json.loads(client.recv(60))["event_type"] == "connected"
        reply = json.loads(client.recv(60))
        assert (reply["status"], reply["operation_id"]) == ("subscribed", "ws-1")
        assert call(client, command="ping", request_id=7)["request_id"] == 7
        write(*life("ws-1"))
        events = [json.loads(client.recv(60)) for _ in range(2)]
        assert [one["event_type"] for one in events] == ["status", "progress"]
        assert call(client, command="get_operation", operation_id="ws-1")["operation"]["progress"]
        assert call(client, command="nothing")["code"] == "unknown_command"


def test_events_are_resumed_with_the_same_ids(address, write):
    path = "/wsprogress/operations/sse-1/events"
    with (
        connect(f"ws://{address}/wsprogress/ws/sse-1") as client,
        EventSource(address, path) as one,
    ):
        assert one.response.getheader("Content-Type") == "text/event-stream; charset=utf-8"
        write(*life("sse-1"))
        write(log("read", operation_id="sse-1"), completed(operation_id="sse-1"))
        events = [(number, json.loads(data)) for number, data in one]
        assert [event["event_type"] for _, event in events] == [
            *("status", "progress", "log", "completed")
        ]
        assert [number for number, _ in events] == [event["event_id"] for _, event in events]
        client.recv(60), client.recv(60)
        assert [json.loads(client.recv(60)) for _ in range(4)] == [event for _, event in events]
    with EventSource(address, path, events[1][0]) as again:
        assert [number for number, _ in again] == [number for number, _ in events[2:]]
    with EventSource(address, path, events[-1][0]) as over:
        assert over.status == 204
    with EventSource(address, path, "gone.1-1.0") as resynced:
        snapshot, *others = [json.loads(data) for _, data in resynced]
        assert snapshot["event_type"] == "snapshot"
        assert snapshot["operation"]["state"] == "completed"
        assert [event["event_type"] for event in others] == ["log", "completed"]


def test_the_other_routes_are_there_and_all_else_is_the_applications(address):
    eventually(lambda: get(address, "/wsprogress/readyz")[0] == 200)
    assert get(address, "/wsprogress/healthz")[1] == b"ok\n"
    assert b"Celery" in get(address, "/wsprogress/client.js")[1]
    assert get(address, "/wsprogress/")[2].getheader("Content-Type").startswith("text/html")
    assert get(address, "/wsprogress")[2].getheader("Location") == "wsprogress/"
    assert b"celery_wsprogress_ready" in get(address, "/wsprogress/metrics")[1]
    assert json.loads(get(address, "/wsprogress/operations")[1])["operations"] is not None
    assert get(address, "/wsprogress/healthz", "HEAD")[1] == b""
    assert get(address, "/wsprogress/readyz", "POST")[0] == 405
    for path in ("/", "/healthz", "/wsprogress/nothing", "/wsprogressive"):
        assert get(address, path)[1] == b"own " + path.encode()


def test_a_function_of_the_application_decides(guarded, write):
    write(*life("anna-1"))
    anna = {"Cookie": "user=anna"}
    with connect(f"ws://{guarded}/wsprogress/ws", additional_headers=anna) as client:
        client.recv(60)
        assert call(client, command="subscribe", operation_id="anna-1")["status"] == "subscribed"
        assert call(client, command="subscribe", operation_id="bert-1")["code"] == "forbidden"
    with EventSource(guarded, "/wsprogress/operations/anna-1/events", **anna) as events:
        assert json.loads(next(iter(events))[1])["operation_id"] == "anna-1"
    assert get(guarded, "/wsprogress/operations/bert-1/events", **anna)[0] == 403
    assert get(guarded, "/wsprogress/operations/anna-1/events")[0] == 401
    with pytest.raises(InvalidStatus, match="401"):
        connect(f"ws://{guarded}/wsprogress/ws")


@pytest.mark.parametrize("origin", ["https://evil.test", "http://localhost:1", "null"])
def test_no_page_of_another_origin_uses_the_cookies_of_its_visitors(guarded, origin):
    anna = {"Cookie": "user=anna", "Origin": origin}
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://{guarded}/wsprogress/ws", additional_headers=anna)
    assert get(guarded, "/wsprogress/operations/anna-1/events", **anna)[0] == 403


def test_a_listed_origin_may_read_with_cookies(guarded, write):
    write(*life("anna-2"))
    anna = {"Cookie": "user=anna", "Origin": "https://a.test"}
    with EventSource(guarded, "/wsprogress/operations/anna-2/events", **anna) as events:
        assert events.response.getheader("Access-Control-Allow-Origin") == "https://a.test"
        assert events.response.getheader("Access-Control-Allow-Credentials") == "true"


def test_it_is_served_by_itself_with_tokens(redis_server, write):
    write(*life("tok-1"))
    token = create_token(["tok-1"], expires_in=600, key=KEY)
    app = wsprogress_asgi(url=redis_server.url, key=KEY)
    path = "/operations/tok-1/events"
    with asgi_server(app) as address:
        assert get(address, path)[0] == 401
        with EventSource(address, path, Authorization=f"Bearer {token}") as events:
            assert json.loads(next(iter(events))[1])["operation_id"] == "tok-1"
        with connect(f"ws://{address}/ws") as client:
            assert json.loads(client.recv(60))["data"]["auth_required"]
            reply = call(client, command="subscribe", operation_id="tok-1", token=token)
            assert reply["status"] == "subscribed"
        assert get(address, "/nothing")[0] == 404


def test_without_a_key_and_a_function_an_id_must_be_known(redis_server, write):
    with asgi_server(wsprogress_asgi(url=redis_server.url)) as address:
        assert get(address, "/operations")[0] == 403
        with connect(f"ws://{address}/ws") as client:
            client.recv(60)
            assert call(client, command="subscribe", operation_id="*")["code"] == "forbidden"
            assert call(client, command="subscribe", operation_id="any")["status"] == "subscribed"


def test_an_open_server_is_not_reached_by_a_name_of_anybody(address):
    """DNS rebinding: the name of a page leads to this server, and its origin is the same."""
    assert get(address, "/wsprogress/operations", Host="evil.test")[0] == 403
    assert get(address, "/wsprogress/operations", Host="localhost:8000")[0] == 200


def test_a_client_that_sends_what_is_no_text_is_closed(address):
    with connect(f"ws://{address}/wsprogress/ws") as client:
        client.recv(60)
        client.send(b"\x00")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(60)
        assert closed.value.rcvd.code == 1003


def test_what_is_no_setting_is_an_error_at_once():
    with pytest.raises(TypeError, match="'max_subscription'"):
        wsprogress_asgi(max_subscription=1)
    with pytest.raises(TypeError, match="'port'"):
        wsprogress_asgi(port=1)
    with pytest.raises(ConfigurationError, match="max_subscriptions"):
        wsprogress_asgi(max_subscriptions=0)
