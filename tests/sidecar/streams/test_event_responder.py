"""Server-sent events of the sidecar, through real sockets, from the log of a real Redis."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import time
from contextlib import contextmanager

import pytest
from support.conditions import eventually
from support.event_log import log_writer
from support.event_sources import EventSource
from support.pages import web_server
from support.sample_events import completed, log, progress, status
from support.sidecars import SidecarProcess, SidecarThread
from websockets.sync.client import connect

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.operations.history import MAX_ENTRIES

KEY = "a key that is long enough for HS256"
LISTED = "https://app.example.org"


@pytest.fixture(scope="module")
def write(redis_server):
    redis_server.clear()
    with log_writer(redis_server.url) as write:
        yield write


@pytest.fixture(scope="module")
def address(redis_server):
    return BrokerAddress(redis_server.url)


@pytest.fixture(scope="module")
def sidecar(address, write):
    with SidecarThread(address) as one:
        yield one


@pytest.fixture(scope="module")
def guarded(address, write):
    """One that wants tokens, and looks often for those that have expired."""
    settings = {"key": KEY, "token_cookie": "progress", "origins": [LISTED]}
    with SidecarThread(address, sweep_interval=0.1, **settings) as one:
        yield one


def path_of(operation_id):
    return f"/operations/{operation_id}/events"


def events_of(sidecar, operation_id, last_event_id=None, **headers):
    return EventSource(f"127.0.0.1:{sidecar.port}", path_of(operation_id), last_event_id, **headers)


def ask(sidecar, path, method="GET", **headers):
    """The status, the headers and the body of a response that ends."""
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=60)
    try:
        connection.request(method, path, headers=headers)
        with connection.getresponse() as answer:
            return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def bearer(*ids, seconds=600.0):
    return {"Authorization": f"Bearer {create_token(list(ids), expires_in=seconds, key=KEY)}"}


def begin(operation_id):
    return status("started", operation_id=operation_id)


def end(operation_id):
    return completed(operation_id=operation_id)


def held(sidecar, operation_id):
    """Wait until the sidecar has read that an operation has begun, or ended."""
    path, reader = f"/operations/{operation_id}", bearer(operation_id)
    eventually(lambda: ask(sidecar, path, **reader)[0] == 200)


def types_of(events):
    """The types of decoded events."""
    return [event["event_type"] for event in events]


def test_they_are_those_of_a_websocket_and_are_resumed_by_their_ids(sidecar, write):
    with (
        connect(f"{sidecar.url}/ws/sse-1") as client,
        events_of(sidecar, "sse-1") as source,
    ):
        client.recv(60), client.recv(60)
        assert source.response.getheader("Content-Type") == "text/event-stream; charset=utf-8"
        write(begin("sse-1"), progress(0.5, operation_id="sse-1"))
        write(log("read", operation_id="sse-1"), end("sse-1"))
        seen = [(number, json.loads(data)) for number, data in source]
        assert types_of(event for _, event in seen) == ["status", "progress", "log", "completed"]
        assert [number for number, _ in seen] == [event["event_id"] for _, event in seen]
        assert [json.loads(client.recv(60)) for _ in seen] == [event for _, event in seen]
    with events_of(sidecar, "sse-1", seen[1][0]) as again:
        assert [number for number, _ in again] == [number for number, _ in seen[2:]]
    with events_of(sidecar, "sse-1", seen[-1][0]) as over:
        assert over.status == 204
        assert over.response.read() == b""
    with events_of(sidecar, "sse-1") as late:
        assert types_of(json.loads(data) for _, data in late) == ["snapshot", "log", "completed"]


def test_a_terminal_shows_them(sidecar, write):
    write(begin("curl-1"), end("curl-1"))
    held(sidecar, "curl-1")
    url = f"{sidecar.http}{path_of('curl-1')}"
    done = subprocess.run(
        ["curl", "-sN", "--max-time", "60", url], capture_output=True, text=True, check=True
    )
    assert re.match(r"retry: \d+\n\ndata: \{.*\"snapshot\"", done.stdout)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_the_program_serves_them_and_ends_them_when_it_stops(redis_server, write, loop):
    sidecar = SidecarProcess(redis_server.url, "--heartbeat", "1", loop=loop)
    sidecar.start()
    write(begin(f"stop-{loop}"))
    with events_of(sidecar, f"stop-{loop}") as source:
        said = source.response.readline()
        assert said.startswith(b"retry: ")
        while b"\ndata: {" not in said or b"\n: still here\n" not in said:
            said += source.response.readline()
        assert sidecar.stop() == 0
        # Nothing is said of an end: a page comes back.
        assert b"data:" not in source.response.read()
    assert "Traceback" not in sidecar.output


def test_the_head_alone_may_be_asked_for(sidecar, guarded):
    code, headers, body = ask(sidecar, path_of("head-1"), "HEAD")
    assert (code, body) == (200, b"")
    assert headers["Content-Type"].startswith("text/event-stream")
    assert ask(guarded, path_of("head-1"), "HEAD")[0] == 401
    assert ask(guarded, path_of("head-1"), "HEAD", **bearer("other"))[0] == 403


@pytest.mark.parametrize(
    "path",
    ["/operations//events", "/operations/*/events", "/events", path_of(1_001 * "x")],
    ids=["empty", "everything", "none", "long"],
)
def test_what_names_no_operation_is_not_there(sidecar, path):
    assert ask(sidecar, path)[0] == 404


def test_a_client_needs_a_token_that_is_no_part_of_the_address(guarded, write):
    write(begin("tok-1"), end("tok-1"))
    held(guarded, "tok-1")
    path, mine = path_of("tok-1"), bearer("tok-1")
    token = mine["Authorization"].removeprefix("Bearer ")
    assert ask(guarded, path)[0] == 401
    assert ask(guarded, f"{path}?token={token}")[0] == 401
    assert ask(guarded, path, Authorization="Bearer wrong")[0] == 401
    assert ask(guarded, path, **bearer("other"))[0] == 403
    for headers in (mine, {"Cookie": f"progress={token}"}):
        code, _, body = ask(guarded, path, **headers)
        assert (code, b'"snapshot"' in body) == (200, True)


def test_a_page_of_a_listed_origin_reads_them_with_its_cookies(guarded, write):
    write(begin("cors-1"), end("cors-1"))
    held(guarded, "cors-1")
    token = bearer("cors-1")["Authorization"].removeprefix("Bearer ")
    page = {"Cookie": f"progress={token}", "Origin": LISTED}
    code, headers, _ = ask(guarded, path_of("cors-1"), **page)
    assert code == 200
    assert headers["Access-Control-Allow-Origin"] == LISTED
    assert headers["Access-Control-Allow-Credentials"] == "true"
    assert ask(guarded, path_of("cors-1"), **(page | {"Origin": "https://evil.test"}))[0] == 403
    # A page of another program of this machine: it may connect, but not with those cookies.
    code, headers, _ = ask(guarded, path_of("cors-1"), **(page | {"Origin": "http://localhost:1"}))
    assert code == 401
    assert "Access-Control-Allow-Credentials" not in headers


def test_they_end_with_the_token(guarded, write):
    write(begin("exp-1"))
    held(guarded, "exp-1")
    with events_of(guarded, "exp-1", **bearer("exp-1", seconds=5.0)) as source:
        assert types_of(json.loads(data) for _, data in source) == ["snapshot"]


def closed(sidecar):
    """Until nobody is connected."""
    eventually(lambda: not sidecar.sidecar.stats()["connected_clients"])


def test_they_count_as_connections(address):
    with SidecarThread(address, max_connections=1) as sidecar:
        with events_of(sidecar, "one"):
            assert sidecar.sidecar.stats()["connected_clients"] == 1
            code, headers, body = ask(sidecar, path_of("two"))
            assert (code, headers["Retry-After"]) == (503, "5")
            assert body == b"Too many connections\n"
            # An `EventSource` would never come back after that.
            code, headers, body = ask(sidecar, path_of("two"), Accept="text/event-stream")
            assert (code, headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
            assert re.fullmatch(rb": Too many connections\nretry: \d{4}\n\n", body)
        closed(sidecar)
        with events_of(sidecar, "two") as source:
            assert source.status == 200


def test_those_of_one_holder_of_tokens_are_limited(address):
    settings = {"key": KEY, "subject_connections": 1}
    token = create_token(["one", "two"], expires_in=600, key=KEY, sub="anna")
    anna = {"Authorization": f"Bearer {token}"}
    with SidecarThread(address, **settings) as sidecar:
        with events_of(sidecar, "one", **anna):
            assert ask(sidecar, path_of("two"), **anna)[0] == 503
        closed(sidecar)
        with events_of(sidecar, "two", **anna) as source:
            assert source.status == 200


@contextmanager
def socket_of(sidecar, operation_id):
    """A client that reads when it likes, as a socket."""
    with socket.create_connection(("127.0.0.1", sidecar.port), 60) as one:
        one.sendall(f"GET {path_of(operation_id)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while b"retry: " not in one.recv(65_536, socket.MSG_PEEK):
            time.sleep(0.01)
        yield one


def test_a_client_counts_while_it_waits_for_the_log():
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        SidecarThread(
            BrokerAddress(f"redis://127.0.0.1:{silent.getsockname()[1]}/0"),
            wait=False,
            address_connections=1,
        ) as sidecar,
        socket.create_connection(("127.0.0.1", sidecar.port), 60) as one,
    ):
        one.sendall(f"GET {path_of('early-1')} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        eventually(lambda: ask(sidecar, path_of("early-2"))[2].startswith(b"Too many connections"))


def test_who_says_more_than_the_request_is_disconnected(sidecar, write):
    write(begin("more-1"))
    with socket_of(sidecar, "more-1") as one:
        one.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = read_all(one)
        assert received.count(b"HTTP/1.1 ") == 1
    closed(sidecar)


def read_all(one):
    received = b""
    try:
        while some := one.recv(65_536):
            received += some
    except ConnectionResetError:
        pass
    return received


def test_a_slow_client_holds_nobody_up_and_gets_a_snapshot(sidecar, write):
    """It takes nothing while more comes than is held, and then all that is still to be had."""
    write(begin("slow-1"))
    lines = MAX_ENTRIES + 500
    with socket_of(sidecar, "slow-1") as slow, events_of(sidecar, "slow-1") as quick:
        for first in range(0, lines, 100):
            some = range(first, first + 100)
            write(*(log(f"{number} " + "x" * 8_000, operation_id="slow-1") for number in some))
        write(end("slow-1"))
        assert [json.loads(data)["event_type"] for _, data in quick][-1] == "completed"
        received = read_all(slow)
    types = re.findall(rb'"event_type":"(\w+)"', received)
    assert types.count(b"snapshot") >= 2, "as the first one, and after what it has missed"
    assert types[-1] == b"completed"
    assert len(types) < lines


def test_a_client_that_takes_nothing_is_closed(address, write):
    with (
        SidecarThread(address, sweep_interval=0.1, heartbeat=1.0) as sidecar,
        socket_of(sidecar, "stuck-1"),
    ):
        write(begin("stuck-1"))
        read = sidecar.sidecar.hub.counts
        for _ in range(16):
            # No more at a time than is held for it: else it would get the last of it only.
            before = read["events"]
            write(*(log("x" * 8_000, operation_id="stuck-1") for _ in range(50)))
            eventually(lambda before=before: read["events"] >= before + 50)
        closed(sidecar)


PAGE = """
<script>
  window.seen = [];
  window.openings = 0;
  const source = new EventSource("ADDRESS/operations/page-1/events");
  source.onopen = () => { openings += 1; };
  source.onmessage = ({ data, lastEventId }) => {
    const event = JSON.parse(data);
    seen.push([event.event_type, event.data.message ?? "", lastEventId]);
    if (event.event_type === "completed") window.over = true;
  };
</script>
"""


def seen_in(page):
    return [(kind, text) for kind, text, _ in page.evaluate("seen") if kind != "snapshot"]


@pytest.mark.browser
def test_a_page_misses_nothing_and_gets_nothing_twice_when_the_sidecar_is_killed(
    redis_server, write, browser, tmp_path
):
    """By `EventSource` of Chromium, from another origin; the operation ends while it is away."""
    with SidecarProcess(redis_server.url) as sidecar:
        (tmp_path / "page.html").write_text(PAGE.replace("ADDRESS", sidecar.http))
        page = browser.new_page()
        with web_server(tmp_path) as root:
            page.goto(f"{root}/page.html")
            eventually(lambda: page.evaluate("openings") == 1)
            write(begin("page-1"), *(log(f"{n}", operation_id="page-1") for n in range(5)))
            eventually(lambda: len(seen_in(page)) == 6)
            sidecar.kill()
            write(*(log(f"{n}", operation_id="page-1") for n in range(5, 10)))
            sidecar.start()
            eventually(lambda: len(seen_in(page)) == 11)
            assert page.evaluate("openings") > 1
            sidecar.kill()
            write(*(log(f"{n}", operation_id="page-1") for n in range(10, 15)), end("page-1"))
            sidecar.start()
            eventually(lambda: page.evaluate("window.over"))
            # It is told that there is nothing more.
            eventually(lambda: page.evaluate("source.readyState === EventSource.CLOSED"))
            lines = [("log", f"{n}") for n in range(15)]
            assert seen_in(page) == [("status", ""), *lines, ("completed", "")]
        page.close()
