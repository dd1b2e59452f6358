"""nginx with the file of the documentation, in front of two sidecars on Unix sockets."""

from __future__ import annotations

import json
import ssl
import uuid
from http.client import HTTPConnection, HTTPSConnection

import pytest
from msgspec import structs
from support.asyncio_runner import run_within
from support.conditions import eventually
from support.deployments import FOLDER, Site
from support.event_log import log_writer
from support.sample_events import completed, result, status
from websockets.asyncio.client import connect

from celery_wsprogress.settings import ServeSettings

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def machine(broker):
    """nginx, and two sidecars behind it."""
    with Site(broker) as site:
        yield site


@pytest.fixture(scope="module")
def ended(machine, broker):
    """An operation that both sidecars know to have ended."""
    one = str(uuid.uuid4())
    events = [
        status("started", at=1.0, operation_type="t", metadata={}),
        result("hers", at=2.0),
        completed(at=2.0, duration=1.0),
    ]
    with log_writer(broker) as write:
        write(*[structs.replace(event, operation_id=one) for event in events])
    for name in "12":
        eventually(lambda name=name: b"completed" in ask_locally(machine, name, one)[1])
    return one


def ask_locally(machine, name, operation_id):
    client = HTTPConnection("127.0.0.1", machine.local_port, timeout=60)
    client.request("GET", f"/{name}/operations/{operation_id}")
    answer = client.getresponse()
    return answer.status, answer.read()


def trusting(machine):
    return ssl.create_default_context(cafile=machine.certificate)


def ask(machine, path, *, source="127.0.0.1", **headers):
    """A request over TLS from one of this machine's own addresses; the answer and its text."""
    client = HTTPSConnection(
        *("127.0.0.1", machine.port),
        timeout=60,
        context=trusting(machine),
        source_address=(source, 0),
    )
    client.request("GET", path, headers={"Host": "example.org", **headers})
    answer = client.getresponse()
    return answer, answer.read().decode()


def test_a_client_watches_over_tls_below_the_prefix(machine, ended):
    # By asyncio: a client of threads reads and writes at once, which OpenSSL does not allow.
    async def watch():
        async with connect(machine.url, ssl=trusting(machine), open_timeout=60) as websocket:
            events = [json.loads(await websocket.recv())]
            await websocket.send(json.dumps({"command": "subscribe", "operation_id": ended}))
            while events[-1]["event_type"] != "completed":
                events.append(json.loads(await websocket.recv()))
            return events

    first, *_, last = run_within(watch())
    assert first["event_type"] == "connected"
    assert last["operation_id"] == ended


def test_a_page_of_the_site_may_connect_and_no_other(machine):
    key = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    key["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    ours, _ = ask(machine, "/progress/", Origin="https://example.org", **key)
    other, text = ask(machine, "/progress/", Origin="https://other.example", **key)
    assert (ours.status, other.status) == (101, 403)
    assert "--origin" in text


@pytest.mark.browser
def test_the_dashboard_works_below_the_prefix(machine, ended, browser):
    expect = pytest.importorskip("playwright.sync_api").expect
    context = browser.new_context(ignore_https_errors=True)
    page = context.new_page()
    page.goto(f"https://127.0.0.1:{machine.port}/progress#/operation/{ended}")
    expect(page.locator("#detail celery-progress")).to_have_attribute("state", "completed")
    context.close()


def test_who_comes_without_tls_is_sent_to_it(machine):
    client = HTTPConnection("127.0.0.1", machine.plain_port, timeout=60)
    client.request("GET", "/progress/", headers={"Host": "example.org"})
    answer = client.getresponse()
    assert answer.status == 301
    assert answer.headers["Location"] == "https://example.org/progress/"


def test_the_address_of_a_client_is_what_nginx_saw(machine):
    """And not what the client wrote itself; the sidecar names it where it refuses something."""
    forwarded = {"Host": "evil.example", "X-Forwarded-For": "192.0.2.7"}
    for _ in machine.services:
        answer, _ = ask(machine, "/progress/", source="127.0.0.9", **forwarded)
        assert answer.status == 403
    for one in machine.services:
        eventually(lambda one=one: "from 127.0.0.9 with the host name evil" in one.output)
        assert "192.0.2.7" not in one.output


def test_figures_are_for_the_machine_itself(machine):
    for name in ("metrics", "status", "readyz"):
        assert ask(machine, f"/progress/{name}")[0].status == 404
    assert ask(machine, "/progress/healthz")[0].status == 200
    client = HTTPConnection("127.0.0.1", machine.local_port, timeout=60)
    for name in "12":
        client.request("GET", f"/{name}/metrics")
        assert b"wsprogress_ready" in client.getresponse().read()


def test_nginx_waits_longer_than_a_sidecar_between_two_pings(machine):
    """With its default, a connection on which nothing happens is not idle for nginx."""
    text = (FOLDER / "nginx.conf").read_text()
    [seconds] = [line.split()[1] for line in text.splitlines() if "proxy_read_timeout" in line]
    assert int(seconds.removesuffix("s;")) > 2 * ServeSettings().heartbeat
