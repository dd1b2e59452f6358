"""An ASGI server for tests: uvicorn in a thread of this process."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

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
