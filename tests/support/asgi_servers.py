"""An ASGI server for tests: uvicorn in a thread of this process."""

from __future__ import annotations

import http.client
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import uvicorn

from support.conditions import eventually
from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def asgi_server(app: Any, **options: Any) -> Iterator[str]:
    """Serve an application; gives ``host:port``."""
    port = free_port()
    config = uvicorn.Config(
        app,
        port=port,
        log_level="warning",
        # A response that goes on is ended when the server stops.
        timeout_graceful_shutdown=1,
        **options,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    eventually(lambda: server.started or not thread.is_alive(), what="the server to start")
    assert server.started
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(60)


class EventSource:
    """The events of a response, as a page's ``EventSource`` reads them.

    Args:
        address: ``host:port``.
        path: The path.
        last_event_id: That of the last event that the page has seen.
        headers: More headers.
    """

    def __init__(
        self, address: str, path: str, last_event_id: str | None = None, **headers: str
    ) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=60)
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        self._connection.request("GET", path, headers=headers)
        self.response = self._connection.getresponse()
        self.status = self.response.status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, as a page that is left."""
        self.response.close()
        self._connection.close()

    def __iter__(self) -> Iterator[tuple[str | None, str]]:
        """The id and the data of each event, until the response ends."""
        fields: dict[str, str] = {}
        while line := self.response.readline().decode():
            name, colon, value = line.rstrip("\n").partition(":")
            if name and colon:
                fields[name] = value.strip()
            elif not line.strip():
                if "data" in fields:
                    yield fields.get("id"), fields["data"]
                fields = {}
