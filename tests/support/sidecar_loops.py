"""A sidecar in a thread, on each of the event loops that it runs on."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.settings import ServeSettings
from celery_wsprogress.sidecar.server import Sidecar
from support.conditions import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT = 60


class Running(NamedTuple):
    """What :func:`running` has started."""

    loop: asyncio.AbstractEventLoop
    sidecar: Sidecar


def loop_factories() -> Iterator[Any]:
    """Parameters of a fixture: asyncio's own loop, and uvloop where it is installed."""
    yield pytest.param(asyncio.new_event_loop, id="asyncio")
    try:
        import uvloop
    except ImportError:
        return
    yield pytest.param(uvloop.new_event_loop, id="uvloop")


@contextmanager
def running(
    make_loop: Callable[[], asyncio.AbstractEventLoop], **settings: object
) -> Iterator[Running]:
    """Run a sidecar with a broker in memory, on a free port."""
    loop, started, stop = make_loop(), threading.Event(), asyncio.Event()
    sidecar = Sidecar(ServeSettings.load({"port": 0, **settings}), BrokerAddress("memory://"))

    async def serve() -> None:
        await sidecar.start()
        started.set()
        await stop.wait()
        await sidecar.stop(0)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(TIMEOUT)
    eventually(lambda: sidecar.ingest.status.connected)
    try:
        yield Running(loop, sidecar)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(TIMEOUT)
        loop.close()
