from __future__ import annotations

import asyncio
import inspect
import json
import logging
import os
import socket
import threading
import urllib.request

import pytest
from support import process_state
from support.asyncio_runner import run
from support.conditions import eventually
from support.forks import in_child
from support.ports import free_port
from support.wire_document import connect
from websockets.exceptions import ConnectionClosed

from celery_wsprogress import (
    WEBSOCKETS_AVAILABLE,
    create_token,
    get_websocket_status,
    is_websocket_running,
    operation,
    start_websocket_background,
    stop_websocket_background,
)
from celery_wsprogress.errors import ConfigurationError, ServerNotStarted, WSProgressError
from celery_wsprogress.sidecar.embedded import background

KEY = "k" * 40
BASE_STATS = {"connected_clients", "active_operations", "total_operations", "subscriptions"}


@pytest.fixture
def process(monkeypatch, caplog):
    """A process without a broker that has not started a server."""
    caplog.set_level(logging.INFO)
    for name in ("KEY", "HOST", "INSECURE", "EXACT_ONLY"):
        monkeypatch.delenv(f"WSPROGRESS_{name}", raising=False)
    with process_state.fresh(monkeypatch):
        yield monkeypatch


def server_threads():
    names = ("celery-wsprogress-server", "wsprogress-ingest")
    return [thread for thread in threading.enumerate() if thread.name in names]


def call(url, **command):
    with connect(url, compression=None) as client:
        client.recv()
        client.send(json.dumps(command))
        return json.loads(client.recv())


def test_its_signature_is_what_people_know(process):
    assert str(inspect.signature(start_websocket_background)).startswith(
        "(host: 'str' = '0.0.0.0', port: 'int' = 8765)"
    )


def test_it_listens_when_starting_returns(process):
    server = start_websocket_background(port=0)
    assert server.url == f"ws://localhost:{server.port}"
    assert call(server.url, command="ping")["status"] == "pong"
    assert is_websocket_running()


def test_it_shows_the_operations_of_the_process(process):
    server = start_websocket_background(port=0)
    with operation("import") as op:
        op.update_progress(0.5, "half")
        eventually(lambda: (found := get(server, op)) and found["progress"] == 0.5)
    eventually(lambda: get(server, op)["state"] == "completed")


def get(server, op):
    return call(server.url, command="get_operation", operation_id=op.operation_id)["operation"]


def test_a_second_start_returns_the_running_one(process):
    first = start_websocket_background(port=0)
    assert start_websocket_background("127.0.0.1", 1) == first
    assert len(server_threads()) == 2


def test_starts_at_the_same_time_start_one(process):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(start_websocket_background(port=0)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(server_threads()) == 2


def test_it_can_be_stopped_and_started_again(process):
    first = start_websocket_background(port=0)
    stop_websocket_background()
    assert not is_websocket_running()
    assert server_threads() == []
    stop_websocket_background()
    again = start_websocket_background(port=first.port)
    assert again.port == first.port
    assert call(again.url, command="ping")["status"] == "pong"


def test_stopping_tells_the_clients_to_come_back(process):
    server = start_websocket_background(port=0)
    with connect(server.url, compression=None) as client:
        client.recv()
        stop_websocket_background()
        with pytest.raises(ConnectionClosed):
            client.recv()
        assert client.protocol.close_code == 1012
        assert json.loads(client.protocol.close_reason)["retry_ms"] > 0


def test_stopping_what_never_ran(process):
    stop_websocket_background()
    assert not is_websocket_running()


def test_it_can_be_driven_from_an_event_loop(process):
    async def main():
        server = start_websocket_background(port=0)
        assert (await asyncio.to_thread(call, server.url, command="ping"))["status"] == "pong"
        stop_websocket_background()

    run(main())


def test_its_status(process):
    before = get_websocket_status()
    assert (before["available"], before["running"]) == (True, False)
    assert before["stats"] == dict.fromkeys(BASE_STATS, 0)
    server = start_websocket_background(port=0)
    with connect(server.url, compression=None) as client:
        client.recv()
        status = get_websocket_status()
        assert status["running"] is True
        assert status["stats"]["connected_clients"] == 1
        assert status["stats"].keys() >= BASE_STATS
    assert WEBSOCKETS_AVAILABLE is True


def test_a_port_in_use_is_a_clear_error_and_leaves_no_thread(process):
    with socket.socket() as taken:
        port = free_port()
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with pytest.raises(ServerNotStarted, match=f"port {port} on localhost is in use") as raised:
            start_websocket_background(port=port)
    assert isinstance(raised.value, RuntimeError)
    assert isinstance(raised.value, WSProgressError)
    assert not is_websocket_running()
    eventually(lambda: server_threads() == [])
    assert start_websocket_background(port=port).port == port


def test_a_host_that_is_none_of_this_machine(process):
    with pytest.raises(ServerNotStarted, match=r"203\.0\.113\.1"):
        start_websocket_background(host="203.0.113.1", port=0)


def test_bad_settings_are_errors(process):
    with pytest.raises(ConfigurationError, match="port"):
        start_websocket_background(port=70_000)
    process.setenv("WSPROGRESS_KEY", "short")
    with pytest.raises(ConfigurationError, match="key"):
        start_websocket_background(port=0)


def test_without_websockets(process):
    process.setattr(background, "WEBSOCKETS_AVAILABLE", False)
    assert get_websocket_status()["available"] is False
    with pytest.raises(ServerNotStarted, match="websockets"):
        start_websocket_background(port=0)


def test_it_may_be_switched_off(process, caplog):
    process.setenv("ENABLE_WEBSOCKET", "false")
    assert start_websocket_background(port=0) is None
    assert caplog.text.count("ENABLE_WEBSOCKET is false") == 1
    assert not is_websocket_running()


@pytest.mark.parametrize("name", ["WEBSOCKET_PORT", "WSPROGRESS_PORT"])
def test_the_environment_names_the_port(process, name):
    port = free_port()
    process.setenv(name, str(port))
    assert start_websocket_background().port == port


def test_a_port_that_is_given_wins(process):
    process.setenv("WSPROGRESS_PORT", str(free_port()))
    port = free_port()
    assert start_websocket_background(port=port).port == port


# Who may connect.


def listening_on(port):
    """The addresses with a listening socket of this port."""
    server = background._server
    return {one.getsockname()[0] for one in server.sidecar.sockets}


def test_without_a_key_and_a_host_it_listens_on_loopback(process, caplog):
    server = start_websocket_background(port=0)
    assert listening_on(server.port) <= {"127.0.0.1", "::1"}
    [line] = [r for r in caplog.records if "only this machine" in r.message]
    assert line.levelno == logging.INFO
    assert "error" not in call(server.url, command="list_operations")


def test_an_explicit_public_host_without_a_key_is_served_by_exact_id_only(process, caplog):
    server = start_websocket_background(host="0.0.0.0", port=0)
    assert listening_on(server.port) == {"0.0.0.0"}
    [line] = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert "IS PUBLIC AND HAS NO KEY" in line.message
    for command in ({"command": "list_operations"}, {"command": "subscribe", "operation_id": "*"}):
        assert call(server.url, **command)["code"] == "forbidden"
    assert "error" not in call(server.url, command="subscribe", operation_id="one")
    http = server.url.replace("ws:", "http:")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{http}/operations")


def test_unless_somebody_said_that_it_may_be_open(process):
    process.setenv("WSPROGRESS_INSECURE", "1")
    server = start_websocket_background(host="0.0.0.0", port=0)
    assert "error" not in call(server.url, command="list_operations")


def test_an_explicit_loopback_host_is_open(process, caplog):
    server = start_websocket_background(host="127.0.0.1", port=0)
    assert "error" not in call(server.url, command="list_operations")
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_with_a_key_it_serves_every_address_to_those_with_a_token(process, caplog):
    process.setenv("WSPROGRESS_KEY", KEY)
    server = start_websocket_background(port=0)
    assert server.host == "0.0.0.0"
    assert listening_on(server.port) == {"0.0.0.0"}
    one = {"command": "subscribe", "operation_id": "one"}
    assert call(server.url, **one)["code"] == "unauthorized"
    assert "error" not in call(server.url, **one, token=create_token("one", key=KEY))
    everything = {"command": "subscribe", "operation_id": "*"}
    assert "error" not in call(server.url, **everything, token=create_token("*", key=KEY))
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_the_environment_may_name_the_host(process):
    process.setenv("WSPROGRESS_KEY", KEY)
    process.setenv("WSPROGRESS_HOST", "127.0.0.1")
    assert start_websocket_background(port=0).host == "127.0.0.1"


# Forks and the end.


def test_in_a_forked_child_none_runs(process):
    server = start_websocket_background(port=0)

    def work():
        running = is_websocket_running(), get_websocket_status()["stats"]["connected_clients"]
        stop_websocket_background()
        return running

    assert in_child(work) == "(False, 0)"
    assert call(server.url, command="ping")["status"] == "pong"


def test_a_child_does_not_hold_on_to_the_port(process):
    server = start_websocket_background(port=0)
    read, write = os.pipe()
    forked, ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(ready, b"1")
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    try:
        # The child lets the port go in its own time, before its first line.
        os.read(forked, 1)
        stop_websocket_background()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), timeout=10)
    finally:
        for end in (read, write, forked, ready):
            os.close(end)
        os.waitpid(pid, 0)


def test_a_child_may_start_one_of_its_own(process):
    start_websocket_background(port=0)

    def work():
        server = start_websocket_background(port=0)
        status = call(server.url, command="ping")["status"]
        stop_websocket_background()
        return status

    assert in_child(work) == "'pong'"


def test_asking_from_its_own_thread(process):
    start_websocket_background(port=0)
    nested = background.call(lambda _: background.call(lambda sidecar: sidecar.port, 0), 0)
    assert nested == start_websocket_background().port
