"""The sidecar on a real Redis, watched through real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from threading import Event, Thread

import jwt
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.conditions import eventually
from support.sample_events import completed, error, log, progress, queued, status
from support.sidecars import PATIENT, SidecarThread, write_until_one_falls
from support.wire_document import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from celery_wsprogress import create_token
from celery_wsprogress.brokers import BrokerAddress, open_writer
from celery_wsprogress.protocol import batches, close_codes
from celery_wsprogress.sidecar import connections, server
from celery_wsprogress.sidecar.ingest.dispatcher import Dispatcher
from celery_wsprogress.sidecar.socket_writer import SocketWriter

KEY = "a key that is long enough for HS256"


@pytest.fixture
def address(redis_url):
    return BrokerAddress(redis_url)


@pytest.fixture
def served(address):
    with SidecarThread(address) as sidecar:
        yield sidecar


@pytest.fixture
def write(address):
    """Write events to the log, as one batch of one writer."""
    writer = open_writer(address)
    counter = 0

    def write(*events):
        nonlocal counter
        counter += 1
        encoded = [batches.encode_event(event) for event in events]
        writer.publish(batches.join_batch("w", counter, encoded), confirm=True)

    yield write
    writer.close()


class Client:
    """A connection that speaks JSON."""

    def __init__(self, websocket):
        self.websocket = websocket
        self.welcome = self.receive()

    def receive(self):
        return json.loads(self.websocket.recv(timeout=30))

    def ask(self, command, **fields):
        self.websocket.send(json.dumps({"command": command, **fields}))
        return self.receive()

    def until(self, kind):
        frames = [self.receive()]
        while frames[-1]["event_type"] != kind:
            frames.append(self.receive())
        return frames

    def rest(self):
        """All frames until the connection closes, and the code of that."""
        frames = []
        try:
            while True:
                frames.append(self.receive())
        except ConnectionClosed as closed:
            return frames, closed.rcvd.code

    def close_code(self):
        try:
            while True:
                self.websocket.recv(timeout=30)
        except ConnectionClosed as closed:
            return closed.rcvd.code, closed.rcvd.reason


@contextmanager
def client(sidecar, path="", **options):
    with connect(sidecar.url + path, compression=None, **options) as websocket:
        yield Client(websocket)


def get(sidecar, path, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{sidecar.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as exc:
        return exc.code, exc.read()


LIFE = (
    queued(at=1.0, operation_type="t", metadata={"room": 7}),
    status("started", at=2.0, metadata={}),
    progress(0.5, at=3.0),
    completed(at=4.0, duration=2.0),
)


def test_the_welcome(served):
    with client(served) as one, client(served) as other:
        welcome = one.welcome
        assert (welcome["event_type"], welcome["operation_id"]) == ("connected", "system")
        assert isinstance(welcome["data"]["client_id"], int)
        assert welcome["data"]["client_id"] != other.welcome["data"]["client_id"]
        assert welcome["data"]["protocol"] == 1


def test_an_event_reaches_everyone_who_watches_and_nobody_else(served, write):
    with client(served) as one, client(served) as other, client(served) as stranger:
        for watcher in (one, other):
            assert watcher.ask("subscribe", operation_id="op-1")["operation"] is None
        stranger.ask("subscribe", operation_id="op-2")
        write(*LIFE)
        assert one.until("completed") == other.until("completed")
        write(log("theirs", operation_id="op-2", run="x"))
        assert stranger.receive()["operation_id"] == "op-2"


def test_many_operations_on_one_connection(served, write):
    ids = [f"op-{number}" for number in range(200)]
    with client(served) as one:
        reply = one.ask("subscribe", operation_ids=ids)
        assert reply["status"] == "subscribed"
        write(*(status("started", operation_id=name, metadata={}) for name in ids[:100]))
        write(*(status("started", operation_id=name, metadata={}) for name in ids[100:]))
        assert {one.receive()["operation_id"] for _ in ids} == set(ids)


def test_a_late_subscriber_gets_snapshot_and_replay_in_one_step(served, write):
    write(*LIFE)
    eventually(lambda: served.sidecar.hub.get("op-1"))
    with client(served) as one:
        reply = one.ask("subscribe", operation_id="op-1")
        assert reply["operation"]["status"] == "completed"
        assert reply["operation"]["metadata"] == {"room": 7}
        assert len(one.until("completed")) == reply["operation"]["event_count"]


def test_what_it_did_is_there_for_prometheus(served, write):
    with client(served) as one:
        one.ask("subscribe", operation_id="op-1")
        write(*LIFE)
        one.until("completed")
        one.websocket.send("x" * 1_100_000)
        assert one.close_code()[0] == 1009
    with client(served):
        pass
    eventually(lambda: served.sidecar.stats()["connected_clients"] == 0)
    status, text = get(served, "/metrics")
    assert status == 200
    for line in (
        'events_total{type="status"} 2',
        'events_total{type="completed"} 1',
        "connections_total 2",
        'closed_total{code="1000"} 1',
        'closed_total{code="1009"} 1',
        'delivery_delay_seconds_bucket{le="+Inf"} 1',
        'commands_total{command="subscribe"} 1',
        'told_total{type="completed"} 1',
        'operations_in_state{state="completed"} 1',
    ):
        assert f"\ncelery_wsprogress_{line}\n" in text.decode()


def test_how_late_it_reads_and_how_busy_it_is(served, write):
    def samples(name):
        found = text_string_to_metric_families(get(served, "/metrics")[1].decode())
        return {
            sample.name: sample.value
            for family in found
            for sample in family.samples
            if family.name == f"celery_wsprogress_{name}"
        }

    write(*LIFE)
    eventually(lambda: samples("read_lag_seconds").get("celery_wsprogress_read_lag_seconds_count"))
    eventually(lambda: samples("loop_lag_seconds").get("celery_wsprogress_loop_lag_seconds_count"))
    assert samples("read_bytes")["celery_wsprogress_read_bytes_total"] > 0


def test_who_may_not_connect_is_counted_by_the_reason(served):
    for header in ({"Host": "elsewhere.example"}, {"Origin": "https://elsewhere.example"}):
        request = urllib.request.Request(f"{served.http}/status", headers=header)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=30)
    text = get(served, "/metrics")[1].decode()
    for limit in ("host", "origin"):
        assert f'refused_connections_total{{limit="{limit}"}} 1\n' in text


def test_the_path_subscribes(served, write):
    write(*LIFE)
    with client(served, "/ws/op-1") as one:
        assert one.receive()["status"] == "subscribed"
        assert one.until("completed")


def test_a_subscription_is_cleaned_up_when_the_connection_closes(served):
    with client(served) as one:
        one.ask("subscribe", operation_id="op-1")
        assert served.sidecar.stats()["subscriptions"] == 1
    eventually(lambda: served.sidecar.stats()["subscriptions"] == 0)
    assert served.sidecar.stats()["connected_clients"] == 0


def test_a_new_sidecar_on_the_same_log_shows_the_same_ids(address, write):
    write(*LIFE)
    seen = []
    for _ in range(2):
        with SidecarThread(address) as sidecar:
            eventually(lambda: sidecar.sidecar.hub.get("op-1"))
            with client(sidecar) as one:
                one.ask("subscribe", operation_id="op-1")
                seen.append(one.until("completed"))
    assert seen[0] == seen[1]


def test_bytes_that_are_no_batch_are_counted_and_cost_nothing(served, write, address):
    writer = open_writer(address)
    for body in (b"\x80\x04nonsense", b"{}", b'{"v":99,"writer":"w","n":1,"events":[]}'):
        writer.publish(body, confirm=True)
    writer.close()
    with client(served) as one:
        one.ask("subscribe", operation_id="op-1")
        write(*LIFE)
        assert one.until("completed")
    assert served.sidecar.stats()["malformed_total"] == 3


@pytest.mark.parametrize(
    ("frame", "code"), [(b"\x00", 1003), ("x" * 1_100_000, 1009)], ids=["binary", "too big"]
)
def test_a_frame_that_is_none_closes_the_connection(served, frame, code):
    with client(served) as one:
        one.websocket.send(frame)
        assert one.close_code()[0] == code


def test_bad_commands_are_answered_and_the_connection_stays(served):
    with client(served) as one:
        one.websocket.send("{")
        assert one.receive()["error"] == "Invalid JSON"
        assert one.ask("dance")["error"] == "Unknown command: dance"
        assert one.ask("ping", request_id="a")["request_id"] == "a"


def test_stopping_tells_the_clients_when_to_come_back(address):
    with SidecarThread(address) as sidecar, client(sidecar) as one:
        stopping = Thread(target=sidecar.__exit__, args=(None, None, None))
        stopping.start()
        code, reason = one.close_code()
        stopping.join()
    assert code == 1012
    assert json.loads(reason)["retry_ms"] > 0


def stopping(sidecar, drain, **options):
    """Stop it over so many seconds, as the program does; a future."""
    one = sidecar.sidecar
    return asyncio.run_coroutine_threadsafe(one.stop(drain, **options), one._loop)


def test_while_it_stops_it_is_not_ready_and_takes_nobody_but_serves_who_is_there(address, write):
    with SidecarThread(address) as sidecar:
        with client(sidecar) as one:
            one.ask("subscribe", operation_id="op-1")
            ended = stopping(sidecar, 600.0, closes_per_second=0.001)
            eventually(lambda: get(sidecar, "/readyz")[0] == 503)
            assert json.loads(get(sidecar, "/readyz")[1])["stopping"] is True
            assert get(sidecar, "/healthz")[0] == 200
            with pytest.raises(InvalidStatus) as refused, client(sidecar):
                pass
            assert refused.value.response.status_code == 503
            assert int(refused.value.response.headers["Retry-After"]) > 0
            write(*LIFE)
            assert one.until("completed")
        ended.result(60)  # nobody is there any more: it does not wait for its time
        with pytest.raises(OSError, match="refused"):
            get(sidecar, "/healthz")


def test_connections_are_closed_one_after_the_other(address):
    """In waves, at random times: as the clients see it in some order that is not that of their
    coming."""
    gone = []

    def wait(number, one):
        assert one.close_code()[0] == 1012
        gone.append(number)

    with SidecarThread(address) as sidecar, ExitStack() as stack:
        clients = [stack.enter_context(client(sidecar)) for _ in range(20)]
        threads = [Thread(target=wait, args=one) for one in enumerate(clients)]
        for one in threads:
            one.start()
        stopping(sidecar, 600.0, closes_per_second=20).result(60)
        for one in threads:
            one.join()
    assert sorted(gone) == list(range(20)) != gone


def test_what_was_read_before_the_stop_reaches_the_clients(address, write, monkeypatch):
    submitted, reads_on, submit = Event(), Event(), Dispatcher.submit

    def noticed(self, epoch, entries, **options):
        if entries:
            submitted.set()
        submit(self, epoch, entries, **options)
        # The loop has given the permit to read on, which it does some milliseconds later.
        reads_on.set()

    monkeypatch.setattr(Dispatcher, "submit", noticed)
    # While the loop is held up nobody answers a ping.
    with (
        SidecarThread(address, **PATIENT) as served,
        client(served, ping_interval=None) as one,
    ):
        one.ask("subscribe", operation_id="op-1")
        eventually(lambda: served.sidecar.readiness()["ready"] and reads_on.is_set())
        busy = Event()
        served.sidecar._loop.call_soon_threadsafe(busy.wait)
        write(*LIFE)
        write(*(log("x" * 7_000, run="r2") for _ in range(3)), *(log("y") for _ in range(500)))
        # The reader has it, the loop has not.
        eventually(submitted.is_set)
        ended = stopping(served, 0.0)
        busy.set()
        assert one.until("completed")
        assert one.close_code()[0] == 1012
        ended.result(60)


def deaf(sidecar):
    """A connection that watches ``op-1`` and never reads."""
    one = socket.create_connection(("127.0.0.1", sidecar.port))
    one.sendall(
        b"GET /ws/op-1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    return one


@contextmanager
def impatient(address, monkeypatch):
    """A sidecar that soon closes whoever takes nothing; by pings it would find that out as well."""
    is_stalled = SocketWriter.is_stalled
    monkeypatch.setattr(SocketWriter, "is_stalled", lambda self, _: is_stalled(self, 2.0))
    with SidecarThread(address, sweep_interval=0.1, heartbeat=600) as sidecar:
        yield sidecar


def test_a_client_that_asked_for_it_gets_a_snapshot_when_it_was_too_slow(served, write):
    with client(served, max_queue=1) as one:
        one.ask("subscribe", operation_id="op-1", resync=True)
        write(LIFE[1])
        write_until_one_falls(served, lambda: write(*(log("x" * 6_000) for _ in range(4))))
        write(progress(0.5, at=3.0), LIFE[3])
        eventually(lambda: served.sidecar.hub.get("op-1")["state"] == "completed")
        frames = one.until("completed")
    [told] = [frame for frame in frames if frame["event_type"] == "snapshot"]
    assert told["operation"]["state"] == "completed"
    assert served.sidecar.hub.get("op-1")["event_count"] == len(frames) - 1 + told["missed"]
    after = frames[frames.index(told) + 1 :]
    assert {frame["event_type"] for frame in after} == {"log", "completed"}


def test_a_client_that_is_stuck_is_closed_whether_it_asked_for_snapshots_or_not(
    address, write, monkeypatch
):
    closed = []
    monkeypatch.setattr(
        connections.ProgressConnection,
        "schedule_close",
        lambda self, code, reason: closed.append(code) or self.transport.abort(),
    )
    with (
        impatient(address, monkeypatch) as sidecar,
        client(sidecar, max_queue=1, close_timeout=0.1) as slow,
        client(sidecar) as idle,
        client(sidecar) as one,
    ):
        slow.ask("subscribe", operation_id="op-1", resync=True)
        one.ask("subscribe", operation_id="op-1")
        while not closed:
            write(*(log("x" * 6_000) for _ in range(4)))
            for _ in range(4):
                one.receive()
        assert closed == [close_codes.TOO_SLOW]
        assert idle.ask("ping")["status"] == "pong"
        assert one.ask("get_stats")


def test_a_client_that_never_reads_is_closed_and_delays_nobody(address, write, monkeypatch):
    with impatient(address, monkeypatch) as served, deaf(served), client(served) as one:
        eventually(lambda: served.sidecar.stats()["connected_clients"] == 2)
        one.ask("subscribe", operation_id="op-1")
        write(LIFE[1])
        one.until("status")
        for number in range(5_000):
            write(*(log(f"{number} {'x' * 6_000}") for _ in range(4)))
            for _ in range(4):
                assert one.receive()["data"]["message"].startswith(f"{number} ")
            if served.sidecar.stats()["connected_clients"] < 2:
                break
        write(LIFE[3])
        assert one.until("completed")
        eventually(lambda: served.sidecar.stats()["connected_clients"] == 1)


def test_a_client_that_keeps_up_gets_all_of_a_burst(served, write):
    with client(served) as one:
        one.ask("subscribe", operation_id="op-1")
        write(LIFE[1])
        one.until("status")
        # While the loop is busy the log runs ahead of it: by twice what a history holds, and by no
        # more than history and kernel hold together, as this thread writes and does not read.
        served.sidecar._loop.call_soon_threadsafe(time.sleep, 1.0)
        for _ in range(40):
            write(*(log("x" * 7_000) for _ in range(4)))
        write(LIFE[3])
        assert len(one.until("completed")) == 161


def test_a_monitor_that_never_subscribes(address, write):
    with (
        SidecarThread(address, monitor_unsubscribed=True) as sidecar,
        client(sidecar) as one,
        client(sidecar) as other,
    ):
        eventually(lambda: sidecar.sidecar.stats()["subscriptions"] == 2)
        assert other.ask("ping")["status"] == "pong"
        assert sidecar.sidecar.stats()["subscriptions"] == 1
        write(*LIFE)
        assert one.until("completed")
        assert other.ask("ping")["status"] == "pong"


def test_with_a_key_nothing_is_shown_without_a_token(address, write):
    write(*LIFE)
    with SidecarThread(address, key=KEY) as sidecar, client(sidecar) as one:
        assert one.welcome["data"]["auth_required"] is True
        for command in ("subscribe", "get_operation"):
            assert one.ask(command, operation_id="op-1")["code"] == "unauthorized"
        for command in ("list_operations", "get_stats"):
            assert one.ask(command)["code"] == "unauthorized"
        assert get(sidecar, "/operations/op-1")[0] == 401
        assert get(sidecar, "/healthz")[0] == 200
        with client(sidecar, "/ws/op-1") as by_path:
            assert by_path.receive()["code"] == "unauthorized"


def test_a_token_shows_what_it_names_and_nothing_else(address, write):
    write(*LIFE)
    token = create_token(["op-1"], 60, key=KEY)
    with SidecarThread(address, key=KEY) as sidecar:
        eventually(lambda: sidecar.sidecar.hub.get("op-1"))
        with client(sidecar) as one:
            assert one.ask("subscribe", operation_id="op-1", token=token)["status"] == "subscribed"
            assert one.until("completed")
            assert one.ask("subscribe", operation_id="op-2")["code"] == "forbidden"
            assert one.ask("subscribe", operation_id="*")["code"] == "forbidden"
            assert one.ask("list_operations")["code"] == "forbidden"
        with client(sidecar) as one:
            assert one.ask("authenticate", token="nonsense")["code"] == "unauthorized"
            assert one.ask("authenticate", token=token)["status"] == "authenticated"
            assert one.ask("get_operation", operation_id="op-1")["operation"]["status"]
        bearer = {"Authorization": f"Bearer {token}"}
        assert get(sidecar, "/operations/op-1", **bearer)[0] == 200
        assert get(sidecar, "/operations", **bearer)[0] == 403


def end_of(token):
    """The time at which a token ends."""
    return jwt.decode(token, options={"verify_signature": False})["exp"]


def test_a_token_that_expires_closes_the_connection_and_nothing_comes_after_its_end(address, write):
    # Without the sweep, which is not in time.
    with SidecarThread(address, key=KEY, sweep_interval=3600) as sidecar, client(sidecar) as one:
        token = create_token("op-1", 1, key=KEY)
        assert one.ask("subscribe", operation_id="op-1", token=token)["status"] == "subscribed"
        over = Event()
        writing = Thread(target=write_until, args=(over, write))
        writing.start()
        frames, code = one.rest()
        over.set()
        writing.join()
        assert code == 4001
        assert frames
        assert all(frame["timestamp"] < end_of(token) for frame in frames)


def write_until(over, write):
    while not over.wait(0.01):
        write(log("still there", at=time.time()))


@pytest.mark.parametrize("command", ["authenticate", "subscribe"])
def test_a_new_token_before_the_end_keeps_everything(address, write, command):
    with SidecarThread(address, key=KEY, sweep_interval=0.1) as sidecar, client(sidecar) as one:
        first = create_token("op-1", 1, key=KEY)
        one.ask("subscribe", operation_id="op-1", token=first)
        second = create_token(["op-1", "op-2"], 60, key=KEY)
        assert "error" not in one.ask(command, operation_id="op-1", token=second)
        eventually(lambda: time.time() > end_of(first) + 0.3)
        write(log("after the end of the first", at=9.0))
        assert one.until("log")[-1]["data"]["message"] == "after the end of the first"


def test_the_clock_that_is_set_forward_ends_a_token(address, write, monkeypatch):
    with SidecarThread(address, key=KEY, sweep_interval=0.1) as sidecar, client(sidecar) as one:
        token = create_token("op-1", 3600, key=KEY)
        assert one.ask("subscribe", operation_id="op-1", token=token)["status"] == "subscribed"
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 7200)
        assert one.close_code()[0] == 4001


def test_a_token_that_comes_after_the_end_of_another_keeps_nothing_of_it(
    address, write, monkeypatch
):
    # As the clock is set forward, no timer is due, and no sweep comes in time.
    with SidecarThread(address, key=KEY, sweep_interval=3600) as sidecar, client(sidecar) as one:
        first = create_token("op-1", 3600, key=KEY)
        second = create_token("op-2", 36_000, key=KEY)
        assert one.ask("subscribe", operation_id="op-1", token=first)["status"] == "subscribed"
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 7200)
        one.websocket.send(json.dumps({"command": "authenticate", "token": second}))
        assert one.close_code() == (4001, "the token has expired")


def test_who_has_no_token_in_time_is_closed_without_the_sweep_and_nobody_else(address):
    settings = {"key": KEY, "auth_timeout": 0.5, "sweep_interval": 3600}
    with SidecarThread(address, **settings) as sidecar, client(sidecar) as stays:
        assert stays.ask("authenticate", token=create_token("a", key=KEY))["status"]
        # Nothing is subscribed, so that its end alone closes nothing.
        with client(sidecar) as ends, client(sidecar) as late:
            assert ends.ask("authenticate", token=create_token("a", 1, key=KEY))["status"]
            assert late.close_code() == (4001, "no valid token in time")
            assert ends.close_code() == (4001, "no valid token in time")
        assert stays.ask("ping")["status"] == "pong"


def test_who_sends_no_request_in_time_is_closed_without_the_sweep(address):
    with (
        SidecarThread(address, sweep_interval=3600) as sidecar,
        socket.create_connection(("localhost", sidecar.port), timeout=60) as slow,
    ):
        slow.sendall(b"GET / HTTP/1.1\r\n")
        with suppress(ConnectionResetError):
            assert slow.recv(4_096) == b""


def test_one_socket_takes_a_token_for_each_of_many_bars(address, write):
    ids = [f"bar-{number}" for number in range(130)]
    with SidecarThread(address, key=KEY) as sidecar, client(sidecar) as one:
        for operation_id in ids:
            token = create_token(operation_id, 60, key=KEY)
            reply = one.ask("subscribe", operation_id=operation_id, token=token)
            assert reply["status"] == "subscribed"
        write(*(log("there", operation_id=one, at=1.0) for one in ids))
        assert {one.until("log")[-1]["operation_id"] for _ in ids} == set(ids)


def test_a_page_from_disk_watches_by_exact_id_only(served, write):
    write(*LIFE)
    with client(served, origin="null") as one:
        assert one.ask("subscribe", operation_id="*")["code"] == "forbidden"
        assert one.ask("list_operations")["code"] == "forbidden"
        assert one.ask("subscribe", operation_id="op-1")["status"] == "subscribed"
        assert one.until("completed")


def test_a_page_that_may_be_of_any_website_learns_nothing_of_others(served, write):
    """A sandboxed frame sends the same origin as a page from disk."""
    write(*LIFE)
    with client(served), client(served, origin="null") as page:
        page.ask("subscribe", operation_id="op-1")
        page.until("completed")
        own = {"connected_clients", "active_operations", "total_operations", "subscriptions"}
        assert page.ask("get_stats")["stats"] == dict.fromkeys(own, 1)
        for path in ("/status", "/metrics", "/operations"):
            assert get(served, path, Origin="null")[0] in {401, 403}


@pytest.mark.parametrize("granted", [None, "other"])
def test_who_may_not_watch_an_id_does_not_learn_whether_it_is_there(address, write, granted):
    write(*LIFE)
    with SidecarThread(address, key=KEY) as sidecar, client(sidecar) as one:
        eventually(lambda: sidecar.sidecar.hub.get("op-1"))
        headers = {}
        if granted is not None:
            headers = {"Authorization": f"Bearer {create_token(granted, key=KEY)}"}
            one.ask("authenticate", token=create_token(granted, key=KEY))
        there, nowhere = (
            get(sidecar, f"/operations/{name}", **headers) for name in ("op-1", "op-2")
        )
        assert there == nowhere
        for command in ("get_operation", "get_history", "subscribe"):
            there, nowhere = (one.ask(command, operation_id=name) for name in ("op-1", "op-2"))
            assert json.dumps(there).replace("op-1", "op-2") == json.dumps(nowhere)


@pytest.mark.parametrize("header", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
def test_foreign_pages_and_foreign_names_do_not_get_in(served, header):
    assert get(served, "/", **header)[0] == 403
    if "Origin" in header:
        with pytest.raises(InvalidStatus), client(served, origin=header["Origin"]):
            pass


def test_a_first_minute_without_an_event_is_mentioned(address, monkeypatch, caplog):
    monkeypatch.setattr(server, "NO_EVENTS_WARNING_AFTER", 0.5)
    with SidecarThread(address):
        eventually(lambda: "No event in the first minute" in caplog.text)


def test_a_first_minute_with_an_event_is_not(address, write, monkeypatch, caplog):
    monkeypatch.setattr(server, "NO_EVENTS_WARNING_AFTER", 2.0)
    write(*LIFE)
    silent = BrokerAddress(address.url, exchange="silent")
    with SidecarThread(address) as served, SidecarThread(silent):
        assert served.sidecar.hub.get("op-1")
        # The minute of the other one, which began later, is over.
        eventually(lambda: "No event" in caplog.text)
        assert caplog.text.count("No event") == 1


def test_it_starts_without_a_broker_and_finds_it_later(own_redis, caplog):
    own_redis.kill()
    address = BrokerAddress(own_redis.url)
    with SidecarThread(address, wait=False) as sidecar:
        eventually(lambda: "is away" in caplog.text)
        assert get(sidecar, "/readyz")[0] == 503
        assert get(sidecar, "/healthz")[0] == 200
        own_redis.start()
        eventually(lambda: get(sidecar, "/readyz")[0] == 200)
        with client(sidecar) as one:
            one.ask("subscribe", operation_id="op-1")
            writer = open_writer(address)
            writer.publish(
                batches.join_batch("w", 1, [batches.encode_event(error())]), confirm=True
            )
            assert one.until("error")
            writer.close()
    assert sum("is away" in record.message for record in caplog.records) == 1


def test_the_broker_dies_and_comes_back_while_someone_watches(own_redis):
    address = BrokerAddress(own_redis.url)
    with SidecarThread(address) as sidecar, client(sidecar) as one:
        one.ask("subscribe", operation_id="op-1")
        for number in (1, 2):
            writer = open_writer(address)
            body = batches.join_batch("w", number, [batches.encode_event(log(str(number)))])
            writer.publish(body, confirm=True)
            writer.close()
            assert one.until("log")[-1]["data"]["message"] == str(number)
            own_redis.kill()
            eventually(lambda: not sidecar.sidecar.ingest.status.connected)
            own_redis.start()
            eventually(lambda: sidecar.sidecar.ingest.status.connected)
        assert one.ask("get_operation", operation_id="op-1")["operation"]["event_count"] == 2
