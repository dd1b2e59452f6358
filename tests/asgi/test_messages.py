"""Requests of ASGI, as the sidecar's modules know them."""

from __future__ import annotations

import pytest
from support import asyncio_runner
from websockets.datastructures import Headers
from websockets.http11 import Response

from celery_wsprogress.asgi.messages import path_below, send_response, to_request


@pytest.mark.parametrize(
    ("path", "root", "prefix", "below"),
    [
        ("/ws", "", "", "/ws"),
        ("/p/ws", "", "/p", "/ws"),
        ("/p", "", "/p", ""),
        ("/p/", "", "/p", "/"),
        ("/pq", "", "/p", None),
        ("/", "", "/p", None),
        # Mounted, by a server that leaves the root in the path, and by one that does not.
        ("/root/ws", "/root", "", "/ws"),
        ("/root/p/ws", "/root/", "/p", "/ws"),
        ("/p/ws", "/root", "/p", "/ws"),
        ("/rooted/ws", "/root", "", "/rooted/ws"),
        ("/root", "/root", "", ""),
    ],
)
def test_the_path_below_a_prefix(path, root, prefix, below):
    assert path_below({"path": path, "root_path": root}, prefix) == below


def test_a_request_keeps_its_headers_and_its_query():
    scope = {"headers": [(b"a", b"1"), (b"a", b"\xe4")], "query_string": b"limit=1&tag=%20"}
    request = to_request(scope, "/operations/ä b/events")
    assert request.path == "/operations/%C3%A4%20b/events?limit=1&tag=%20"
    assert request.headers.get_all("A") == ["1", "ä"]
    assert request.method == "GET"


def test_a_response_says_nothing_about_the_connection():
    sent = []

    async def send(message):
        sent.append(message)

    response = Response(200, "OK", Headers({"Connection": "close", "ETag": "x"}), b"body")
    asyncio_runner.run(send_response(send, response))
    assert sent == [
        {"type": "http.response.start", "status": 200, "headers": [(b"etag", b"x")]},
        {"type": "http.response.body", "body": b"body"},
    ]
