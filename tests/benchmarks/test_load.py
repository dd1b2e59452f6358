"""The clients of the benchmarks, counted by a real server of the library websockets."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager

import pytest
from conftest import skip_or_fail
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.sync.server import serve

from benchmarks.load import ClientClosedError, CompilerMissingError, load, program


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    try:
        program()
    except CompilerMissingError as exc:
        skip_or_fail(str(exc))


@contextmanager
def server(tell, **options):
    """Serve; every client gets a welcome and one reply, then what ``tell`` does; yields the port.

    ``tell`` is called with the connection and the command it sent.
    """

    def handle(connection):
        connection.send("welcome")
        command = json.loads(connection.recv())
        connection.send("reply")
        tell(connection, command)
        # It stays until the clients go.
        for _ in connection:
            pass

    with serve(handle, "127.0.0.1", 0, compression=None, **options) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield listening.socket.getsockname()[1]
        listening.shutdown()
        thread.join()


def test_every_client_sends_its_commands_with_its_number():
    said = []
    with (
        server(lambda _, command: said.append(command["id"])) as port,
        load(port, 5, {"id": "op-%d"}, numbers=3),
    ):
        pass
    assert sorted(said) == ["op-0", "op-0", "op-1", "op-1", "op-2"]


sizes = st.one_of(
    st.integers(0, 300), st.integers(65_530, 65_540), st.sampled_from([125, 126, 999_990])
)


@settings(max_examples=15, deadline=None)
@given(sizes=st.lists(sizes, min_size=1, max_size=6), cut=st.integers(2_000, 70_000))
def test_it_counts_the_frames_and_the_bytes_however_they_come(sizes, cut):
    frames = [Frame(Opcode.TEXT, b"x" * size).serialize(mask=False) for size in sizes]
    stream = b"".join(frames)
    begin = threading.Event()

    def tell(connection, _):
        begin.wait()
        # Byte by byte where the first headers are.
        for start in range(min(len(stream), 20)):
            connection.socket.sendall(stream[start : start + 1])
        for start in range(20, len(stream), cut):
            connection.socket.sendall(stream[start : start + cut])

    with server(tell) as port, load(port, 2, {}) as clients:
        assert clients.count().frames == 0
        begin.set()
        count = clients.wait(2 * len(sizes))
    assert (count.frames, count.bytes) == (2 * len(sizes), 2 * len(stream))


def test_what_makes_a_client_ready_is_not_counted():
    with server(lambda *_: None) as port, load(port, 3, {}) as clients:
        assert clients.count().frames == 0


def test_it_answers_pings():
    answered = threading.Event()
    begin = threading.Event()

    def tell(connection, _):
        begin.wait()
        if connection.ping(b"are you there").wait(10):
            answered.set()

    with server(tell, ping_interval=None) as port, load(port, 1, {}) as clients:
        begin.set()
        assert answered.wait(10)
        assert clients.count().frames == 0


def test_it_takes_the_delays_of_the_frames_that_hold_a_time():
    begin = threading.Event()

    def tell(connection, _):
        begin.wait()
        connection.send("nothing of a time")
        for earlier in (1, 3, 1_000):
            connection.send(json.dumps({"message": f"at {time.time() - earlier:.6f} x"}))

    with server(tell) as port, load(port, 1, {}, key='"at ') as clients:
        begin.set()
        count = clients.wait(4)
        again = clients.count()
    assert count.delays == 3
    assert 3 <= count.p50 < 1_000 <= count.max
    assert again.delays == 0


def test_a_client_that_is_closed_is_no_client_to_count():
    begin = threading.Event()

    def tell(connection, _):
        begin.wait()
        connection.close()

    with server(tell) as port, load(port, 1, {}) as clients:
        begin.set()
        with pytest.raises(ClientClosedError):
            clients.wait(1)


def test_a_server_that_refuses_is_named_by_what_it_said(capfd):
    def refuse(connection, _):
        return connection.respond(403, "not here\n")

    with (
        server(lambda *_: None, process_request=refuse) as port,
        pytest.raises(ClientClosedError),
        load(port, 1, {}),
    ):
        pass
    assert "HTTP/1.1 403 Forbidden" in capfd.readouterr().err
