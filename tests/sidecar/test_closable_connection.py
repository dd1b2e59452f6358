"""How long a response may take, with a real server and real sockets."""

from __future__ import annotations

import asyncio
from functools import partial

from support import asyncio_runner
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.http11 import Response

from celery_wsprogress.sidecar.closable_connection import ClosableConnection

LIMIT = 0.5
"""Seconds for a response."""


def answer_that_takes_long(*, takes_time):
    """All that a client receives of a response that is made in twice the limit."""

    async def scenario():
        async def process(connection, _request):
            if takes_time:
                connection.take_time()
            await asyncio.sleep(2 * LIMIT)
            return Response(200, "OK", Headers({"Connection": "close"}), b"at last")

        async with serve(
            lambda _connection: asyncio.sleep(0),
            "127.0.0.1",
            0,
            create_connection=partial(ClosableConnection, open_timeout=LIMIT),
            process_request=process,
            open_timeout=None,
        ) as server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                return await reader.read()
            except ConnectionResetError:
                return b""
            finally:
                writer.close()

    return asyncio_runner.run_within(scenario(), 120)


def test_a_response_that_takes_long_is_not_waited_for():
    assert answer_that_takes_long(takes_time=False) == b""


def test_one_that_may_take_its_time_is():
    assert answer_that_takes_long(takes_time=True).endswith(b"at last")
