from __future__ import annotations

import asyncio
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial

import pytest
from support import certificates
from support.deliveries import process
from support.sample_events import log, progress
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.session import WRITE_BYTES, Session
from celery_wsprogress.operations import history
from celery_wsprogress.protocol import batches, messages
from celery_wsprogress.protocol.close_codes import TOO_SLOW, UNSUPPORTED
from celery_wsprogress.sidecar.connection import MIN_PING_FACTOR, ProgressConnection
from celery_wsprogress.sidecar.limits.admission import ConnectionLimits
from celery_wsprogress.sidecar.limits.client_limits import ClientLimits
from celery_wsprogress.sidecar.socket_writer import MAX_KERNEL_BUFFER
from celery_wsprogress.sidecar.tls.certificate import CertificateFiles, ServerCertificate

TIMEOUT = 30

CONNECTIONS = ConnectionLimits(total=100, per_address=100, per_subject=100)


# Connections.


class Served:
    """A server of one session, without a hub, and what its client sent."""

    def __init__(self):
        self.session = Session(1, Permit(None))
        self.taken = []
        self.owed = 0
        """The most bytes of replies that were unsent at once."""
        self.connection = None
        self.ended = asyncio.Event()
        self.url = ""

    def take(self, frame):
        """As a command is taken: count it, and reply where the client asks for bytes."""
        yield
        self.taken.append(frame)
        if frame.isdecimal():
            self.session.replies.add(b"x" * int(frame))
            self.owed = max(self.owed, sum(map(len, self.session.replies)))

    async def accept(self, connection):
        connection.session, self.session.writer = self.session, connection.writer
        self.connection = connection
        try:
            connection.serve_commands(self.take)
            await connection.wait_closed()
        finally:
            self.ended.set()

    def frame(self, frame):
        """Queue a frame and write it."""
        self.session.replies.add(frame)
        self.connection.flush()


def run(scenario):
    """Run it on a loop of its own, also where a loop of somebody else's runs in this thread."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, scenario).result()


async def until(condition):
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110 - it may be anything
            await asyncio.sleep(0.005)


@asynccontextmanager
async def connected(*, ping_interval=None, patience=10, files=None, **options):
    """A server of one session and its client; with TLS, if there are the files of that."""
    served, certificate = Served(), None
    if files is not None:
        paths = CertificateFiles(str(files.certificate), str(files.key), None)
        certificate, options["ssl"] = ServerCertificate(paths), files.trusted()
    how = {"compression": None, "ping_interval": ping_interval}
    async with (
        serve(
            served.accept,
            "127.0.0.1",
            0,
            create_connection=partial(
                ProgressConnection, limits=ClientLimits(CONNECTIONS), certificate=certificate
            ),
            max_size=messages.MAX_COMMAND_BYTES,
            close_timeout=patience,
            write_limit=(65_536, 16_384),
            **how,
        ) as server,
        asyncio.timeout(4 * TIMEOUT),
    ):
        port = server.sockets[0].getsockname()[1]
        scheme = "ws" if files is None else "wss"
        async with connect(f"{scheme}://127.0.0.1:{port}", **how, **options) as client:
            await until(lambda: served.connection is not None)
            yield served, client


async def closed(client):
    """Read until the connection is closed; the code it was closed with."""
    try:
        async with asyncio.timeout(TIMEOUT):
            while True:
                await client.recv()
    except ConnectionClosed as exc:
        return exc.rcvd.code


@pytest.fixture(params=["plain", "TLS"])
def files(request, tmp_path):
    return certificates.make(tmp_path) if request.param == "TLS" else None


def test_what_the_session_has_arrives_whole_and_in_order(files):
    async def scenario():
        async with connected(files=files) as (served, client):
            sizes = [0, 1, 125, 126, 65_535, 65_536, 1_000_000, *range(500)]
            for size in sizes:
                served.session.replies.add(b"x" * size)
            served.connection.flush()
            assert [len(await client.recv()) for _ in sizes] == sizes

    run(scenario())


def test_frames_and_those_the_library_writes_do_not_mix(files):
    async def scenario():
        async with connected(files=files) as (served, client):
            for _ in range(20):
                served.frame(b"x" * 100_000)
                pong = await client.ping()
                assert len(await client.recv()) == 100_000
                await pong

    run(scenario())


def test_commands_come_one_by_one_and_are_answered_at_once():
    async def scenario():
        async with connected() as (served, client):
            for number in (1, 2, 3):
                await client.send(str(number))
                assert await client.recv() == "x" * number
            assert served.taken == ["1", "2", "3"]

    run(scenario())


def test_a_client_that_does_not_read_costs_a_bounded_number_of_bytes_and_misses_nothing(files):
    frames = [json.dumps({"n": number, "fill": "x" * 50_000}).encode() for number in range(400)]

    async def scenario():
        async with connected(max_queue=1, files=files) as (served, client):
            for one in frames:
                served.frame(one)
            await until(lambda: served.connection.paused)
            assert served.session.has_unread
            size = served.connection.transport.get_write_buffer_size()
            assert size < 65_536 + WRITE_BYTES + len(frames[0])
            # It reads again, and everything follows.
            for number in range(400):
                assert json.loads(await client.recv())["n"] == number
            assert not served.session.has_unread

    run(scenario())


def test_the_commands_of_a_client_that_does_not_read_wait():
    size = 250_000
    asked = 200

    async def scenario():
        async with connected(max_queue=1) as (served, client):
            asking = asyncio.create_task(_send(client, [str(size)] * asked))
            await until(lambda: served.connection.paused)
            assert len(served.taken) < asked
            for _ in range(asked):
                assert len(await client.recv()) == size
            await asking
            assert len(served.taken) == asked
            assert size <= served.owed < size + 100, "one reply at a time"

    run(scenario())


async def _send(client, frames):
    for one in frames:
        await client.send(one)


def test_a_client_that_fell_off_the_history_is_told_so():
    async def scenario():
        hub = Hub()
        async with connected(max_queue=1) as (served, client):
            session = served.session
            hub.subscriptions.subscribe(session, "op-1", replay=None, since=None)
            for number in range(2 * history.MAX_ENTRIES):
                batch = batches.Batch("w", number + 1, [log("x" * 1_000)])
                process(hub, batch, epoch="e", position=str(number + 1), now=0.0)
            served.connection.flush()
            assert await closed(client) == TOO_SLOW

    run(scenario())


def test_what_rests_is_written_in_time_also_where_that_is_sooner_than_it_was():
    async def scenario():
        hub = Hub()

        def write(number):
            batch = batches.Batch("w", number, [progress(number / 10)])
            process(hub, batch, epoch="e", position=str(number), now=0.0)
            served.connection.flush()

        async with connected() as (served, client):
            hub.subscriptions.subscribe(served.session, "op-1", replay=None, since=None)
            served.session.set_max_rate("op-1", 0.01)
            write(1)
            await client.recv()
            write(2)
            # In a hundred seconds, and now in one.
            served.session.set_max_rate("op-1", 1.0)
            served.connection.flush()
            async with asyncio.timeout(TIMEOUT):
                assert '"progress":0.2' in await client.recv()

    run(scenario())


def test_nothing_is_written_to_who_has_closed_the_socket_without_a_word():
    async def scenario():
        async with connected() as (served, _):
            served.session.replies.add(b"late")
            served.connection.eof_received()
            served.connection.flush()
            assert served.session.has_unread

    run(scenario())


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"{}", UNSUPPORTED),
        (b"", UNSUPPORTED),
        ("x" * messages.MAX_COMMAND_BYTES, None),
        ("x" * (messages.MAX_COMMAND_BYTES + 1), 1009),
        ("é" * (messages.MAX_COMMAND_BYTES // 2 + 1), 1009),
    ],
    ids=["binary", "empty binary", "largest", "too large", "too large in bytes"],
)
def test_frames_that_are_no_commands_close_the_connection(message, code):
    async def scenario():
        async with connected() as (served, client):
            await client.send(message)
            if code is None:
                await until(lambda: served.taken == [message])
                return
            assert await closed(client) == code
            await served.ended.wait()
            assert served.taken == []

    run(scenario())


def test_text_that_is_no_utf8_closes_the_connection():
    async def scenario():
        async with connected() as (served, client):
            await client.send(b"\xff", text=True)
            assert await closed(client) == 1007
            assert served.taken == []

    run(scenario())


def test_a_client_that_goes_without_a_word_is_no_error(caplog):
    async def scenario():
        async with connected() as (served, client):
            served.session.replies.add(b"x" * 10_000_000)
            client.transport.abort()
            await served.ended.wait()
            served.connection.flush()
            served.connection.schedule_close(1000, "")
            served.connection.schedule_close(1000, "")

    run(scenario())
    assert caplog.records == []


def test_nothing_is_written_once_it_closes():
    async def scenario():
        async with connected() as (served, client):
            served.connection.schedule_close(4001, "the token has expired")
            served.session.replies.add(b"late")
            await asyncio.sleep(0)
            served.connection.flush()
            assert await closed(client) == 4001
            assert served.session.has_unread

    run(scenario())


def test_a_client_that_takes_nothing_is_stuck_and_one_that_does_is_not(files):
    async def scenario():
        async with connected(max_queue=1, files=files) as (served, client):
            connection = served.connection
            assert not connection.writer.is_stalled(0.0), "there is nothing to take"
            for _ in range(400):
                served.session.replies.add(b"x" * 50_000)
            connection.flush()
            await until(lambda: connection.writer.is_stalled(0.05))
            # It reads again, if only a little.
            for _ in range(200):
                await client.recv()
            assert not connection.writer.is_stalled(0.05)
            await until(lambda: connection.writer.is_stalled(0.05))
            for _ in range(200):
                await client.recv()
            await until(lambda: not connection.writer.is_stalled(0.0))

    run(scenario())


def test_a_client_may_take_what_there_is_before_it_is_dismissed(files):
    frames = [str(number) * 10_000 for number in range(400)]

    async def scenario():
        async with connected(max_queue=1, files=files) as (served, client):
            for one in frames:
                served.session.replies.add(one.encode())
            served.connection.flush()
            assert served.session.has_unread
            leaving = asyncio.create_task(served.connection.close_or_abort(1012, "bye", flush=True))
            assert [await client.recv() for _ in frames] == frames
            assert await closed(client) == 1012
            await leaving

    run(scenario())


def test_a_client_that_takes_nothing_is_dismissed_all_the_same():
    async def scenario():
        async with connected(patience=0.1, max_queue=1, close_timeout=0.1) as (served, _):
            for _ in range(400):
                served.session.replies.add(b"x" * 50_000)
            await served.connection.close_or_abort(1012, "bye", flush=True)
            await served.ended.wait()

    run(scenario())


def test_connections_that_began_together_are_not_pinged_together():
    async def scenario():
        intervals = set()
        for _ in range(20):
            async with connected(ping_interval=20) as (served, _):
                intervals.add(served.connection.ping_interval)
        assert len(intervals) == 20
        assert all(MIN_PING_FACTOR * 20 <= one <= 20 for one in intervals)

    run(scenario())


@pytest.mark.skipif(
    not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="this system has no TCP_NOTSENT_LOWAT"
)
def test_the_kernel_takes_a_limited_number_of_bytes_for_a_client_that_does_not_read():
    async def scenario():
        async with connected() as (served, _):
            sock = served.connection.transport.get_extra_info("socket")
            limit = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
            assert limit == MAX_KERNEL_BUFFER

    run(scenario())


@pytest.mark.parametrize("back", [0.0, 3600.0])
def test_a_client_with_a_max_rate_gets_progress_although_the_wall_clock_is_set_back(
    monkeypatch, back
):
    hub = Hub()
    wall = time.time
    event = progress(0.1, at=1.0)

    def write(number):
        where = {"epoch": "e", "position": f"{number}-0", "now": time.monotonic()}
        process(hub, batches.Batch("w", number, [progress(number / 10, at=1.0)]), **where)

    async def scenario():
        async with connected() as (served, client):
            hub.subscriptions.subscribe(served.session, event.operation_id, replay=None, since=None)
            served.session.set_max_rate(event.operation_id, 20.0)
            write(1)
            served.connection.flush()
            assert json.loads(await client.recv())["data"]["progress"] == 0.1
            monkeypatch.setattr(time, "time", lambda: wall() - back)
            write(2)
            served.connection.flush()
            async with asyncio.timeout(10):
                assert json.loads(await client.recv())["data"]["progress"] == 0.2

    run(scenario())
