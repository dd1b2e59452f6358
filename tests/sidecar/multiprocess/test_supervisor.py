"""Several processes on one port: the real program on a real Redis, killed and stopped."""

from __future__ import annotations

import json
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import ExitStack, contextmanager
from threading import Event, Thread

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from support.conditions import eventually
from support.event_log import log_writer
from support.sample_events import completed, log, progress, queued, status
from support.sidecars import SidecarProcess
from support.wire_document import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from celery_wsprogress.sidecar.multiprocess.supervisor import MetricsLedger

LINES = 300


@contextmanager
def processes(url, count=2):
    """A sidecar of some processes."""
    with SidecarProcess(url, "--processes", str(count)) as sidecar:
        try:
            yield sidecar
        finally:
            for one in children(sidecar):
                one.kill()


def children(sidecar):
    """The processes that serve."""
    return psutil.Process(sidecar.pid).children() if sidecar.pid else []


def process_of(socket):
    """The process at the other end of a connection to this machine."""
    _, port, *_ = socket.socket.getsockname()
    [found] = [
        one.pid
        for one in psutil.net_connections("tcp")
        if one.raddr and one.raddr.port == port and one.laddr.port == socket.socket.getpeername()[1]
    ]
    return found


class Client:
    """A client that keeps what it gets, and comes back to where it was."""

    def __init__(self, sidecar):
        self._url = sidecar.url
        self.messages = []
        self.recovered = []
        self.ended = Event()
        self._since = None
        self._closes = ExitStack()
        self._thread = Thread(target=self._follow, daemon=True)
        self._connect()

    def _connect(self):
        self._closes.close()
        self._socket = self._closes.enter_context(connect(self._url, compression=None))
        self.client_id = self._receive()["data"]["client_id"]
        self.process = process_of(self._socket)
        """The process that serves it."""

    def _receive(self):
        return json.loads(self._socket.recv(timeout=30))

    def ask(self, command, **fields):
        self._socket.send(json.dumps({"command": command, **fields}))
        reply = self._receive()
        while reply["event_type"] != "reply":
            reply = self._receive()
        return reply

    def close_code(self):
        try:
            while True:
                self._receive()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006

    def follow(self):
        self.ask("subscribe", operation_id="op-1")
        self._thread.start()

    def _follow(self):
        while not self.ended.is_set():
            try:
                self._take(self._receive())
            except ConnectionClosed:
                self._come_back()

    def _take(self, frame):
        if frame["event_type"] == "log":
            self.messages.append(frame["data"]["message"])
        elif frame["event_type"] == "completed":
            self.ended.set()
        self._since = frame.get("event_id", self._since)

    def _come_back(self):
        with ExitStack() as stack:
            stack.callback(time.sleep, 0.02)
            try:
                self._connect()
                reply = self.ask("subscribe", operation_id="op-1", since=self._since)
            except (ConnectionClosed, OSError, InvalidHandshake):
                return
            self.recovered.append(reply["recovered"])

    def close(self):
        self.ended.set()
        self._closes.close()


@contextmanager
def clients_of_all(sidecar, count=2):
    """Clients, at least one of each process."""
    with ExitStack() as stack:
        clients = []
        while len({one.process for one in clients}) < count or len(clients) < 6:
            assert len(clients) < 100
            clients.append(Client(sidecar))
            stack.callback(clients[-1].close)
        yield clients


def is_ready(sidecar):
    """Whether all of its processes are, and have said so to the one that is asked."""
    try:
        return bool(get(sidecar, "/readyz"))
    except urllib.error.HTTPError:
        return False


def get(sidecar, path):
    with urllib.request.urlopen(sidecar.http + path, timeout=30) as response:
        return response.read().decode()


def stats(sidecar):
    return json.loads(get(sidecar, "/status"))["stats"]


def metrics(sidecar):
    """The samples without labels, and the sums of those with some, by their name."""
    found = Counter()
    for family in text_string_to_metric_families(get(sidecar, "/metrics")):
        for sample in family.samples:
            found[sample.name.removeprefix("celery_wsprogress_")] += sample.value
    return found


@pytest.fixture
def write(redis_url):
    with log_writer(redis_url) as write:
        yield write


def test_whoever_is_asked_answers_for_all(redis_url, write):
    now = time.time()
    write(queued(at=now), status("started", at=now, metadata={}), progress(0.5, at=now))
    with processes(redis_url) as sidecar, clients_of_all(sidecar) as clients:
        pids = {one.pid for one in children(sidecar)}
        assert {one.process for one in clients} == pids
        assert len({one.client_id for one in clients}) == len(clients)
        for one in clients:
            one.ask("subscribe", operation_id="op-1")
        expected = {
            "connected_clients": len(clients),
            "subscriptions": len(clients),
            "active_operations": 1,
            "processes": 2,
        }
        for ask in (
            lambda: stats(sidecar),
            lambda: clients[0].ask("get_stats")["stats"],
            lambda: metrics(sidecar),
        ):
            eventually(lambda ask=ask: expected.items() <= ask().items())
        found = metrics(sidecar)
        assert found["events_total"] == found["delivered_total"] == 3
        assert found["operations_total"] == 1
        assert found["connections_total"] == len(clients)
        # A welcome and a confirmation each, and the answers to `get_stats`.
        assert found["sent_writes_total"] >= 2 * len(clients)
        assert found["restarts_total"] == 0
        used = sum(one.memory_info().rss for one in children(sidecar))
        assert found["process_resident_memory_bytes"] == pytest.approx(used, rel=0.2)
        assert json.loads(get(sidecar, "/readyz"))["processes"] == 2


def test_a_killed_process_is_replaced_and_its_clients_miss_nothing(redis_url, write):
    write(status("started", at=1.0, metadata={}))
    with processes(redis_url) as sidecar, clients_of_all(sidecar) as clients:
        for one in clients:
            one.follow()
        for number in range(LINES):
            write(log(str(number), at=2.0 + number))
            if number == LINES // 3:
                eventually(lambda: all(one.messages for one in clients))
                before = metrics(sidecar)
                lost = clients[0].process
                psutil.Process(lost).kill()
        write(completed(at=1e9))
        for one in clients:
            assert one.ended.wait(60)
            assert one.messages == [str(number) for number in range(LINES)]
            assert all(one.recovered)
        assert any(one.recovered for one in clients)
        pids = eventually(
            lambda: (
                len({one.pid for one in children(sidecar)} - {lost}) == 2
                and stats(sidecar)["processes"] == 2
            )
        )
        assert pids
        after = metrics(sidecar)
        assert after["restarts_total"] == 1
        counters = [name for name in before if name.endswith(("_total", "_count", "_bucket"))]
        assert [name for name in counters if after[name] < before[name]] == []
        assert f"Process {lost} was ended by SIGKILL" in sidecar.output


@pytest.mark.parametrize("who", ["the parent", "all of them"])
def test_sigterm_sends_the_clients_of_all_away(redis_url, who):
    # What stops a service may signal each process of it, and the parent does so as well.
    with processes(redis_url) as sidecar, clients_of_all(sidecar) as clients:
        running = children(sidecar)
        process = sidecar.process
        if who == "all of them":
            for one in running:
                one.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        assert {one.close_code() for one in clients} == {1012}
        assert process.wait(30) == 0
        assert [one for one in running if one.is_running()] == []
        assert "Traceback" not in sidecar.output


def test_no_process_outlives_a_parent_that_is_killed(redis_url):
    with processes(redis_url) as sidecar, clients_of_all(sidecar) as clients:
        running = children(sidecar)
        sidecar.kill()
        # Nobody has to find out by himself that it is gone.
        assert {one.close_code() for one in clients} == {1012}
        assert psutil.wait_procs(running, timeout=30)[1] == []


def test_a_process_that_is_told_to_stop_is_replaced_as_well(redis_url):
    with processes(redis_url) as sidecar, clients_of_all(sidecar) as clients:
        told = clients[0].process
        psutil.Process(told).terminate()
        codes = {one.close_code() for one in clients if one.process == told}
        assert codes == {1012}
        eventually(lambda: f"Process {told} ended with code 0; another one" in sidecar.output)
        eventually(lambda: told not in {one.pid for one in children(sidecar)})
        eventually(lambda: stats(sidecar)["processes"] == 2)
        others = [one for one in clients if one.process != told]
        assert others[0].ask("ping")["status"] == "pong"


def test_without_a_log_each_process_has_a_queue_of_its_own(rabbitmq_without_streams):
    url = rabbitmq_without_streams.url
    with processes(url) as sidecar, clients_of_all(sidecar) as clients, log_writer(url) as write:
        eventually(lambda: is_ready(sidecar))
        assert not json.loads(get(sidecar, "/readyz"))["replayable"]
        for one in clients:
            one.follow()
        write(status("started", at=1.0, metadata={}), log("heard", at=2.0), completed(at=3.0))
        for one in clients:
            assert one.ended.wait(30)
            assert one.messages == ["heard"]


# What the parent keeps.

REPORTS = st.fixed_dictionaries(
    {"connected_clients": st.integers(0, 99), "sent_bytes_total": st.integers(0, 10**9)}
)


@given(st.lists(st.tuples(st.sampled_from([1, 2, 3]), REPORTS | st.none()), max_size=20))
def test_what_the_others_did_is_the_sum_of_all_that_ever_ran(steps):
    ledger, running, sent_in_the_past = MetricsLedger(), {}, 0
    for pid, report in steps:
        if report is not None:
            running[pid] = ledger.reports[pid] = report
        else:
            sent_in_the_past += running.pop(pid, {}).get("sent_bytes_total", 0)
            ledger.close(pid)
    for asking in (1, 2, 3):
        others = [one for pid, one in running.items() if pid != asking]
        found = ledger.others(asking)
        sent = sent_in_the_past + sum(one["sent_bytes_total"] for one in others)
        assert found.get("sent_bytes_total", 0) == sent
        clients = sum(one["connected_clients"] for one in others)
        assert found.get("connected_clients", 0) == clients
