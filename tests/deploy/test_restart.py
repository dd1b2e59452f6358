"""A new version of two sidecars behind nginx, while clients watch: no log of theirs says more than
that they have connected again, and no event is missing or comes twice."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid

import pytest
from support.asyncio_runner import run
from support.conditions import eventually
from support.deployments import Site
from support.event_log import log_writer
from support.sample_events import completed, log, status

from celery_wsprogress import Client
from celery_wsprogress.client.connection_change import Connected, Disconnected
from celery_wsprogress.protocol.close_codes import RESTARTING

pytestmark = pytest.mark.redis

OPERATIONS = 3
WATCHERS = 12


@pytest.fixture(scope="module")
def machine(broker):
    with Site(broker) as site:
        yield site


@pytest.fixture(scope="module")
def write(broker):
    """Write events to the log, as one writer, which numbers its batches."""
    with log_writer(broker) as write:
        yield write


class Watcher:
    """A client on a connection of its own."""

    def __init__(self, url, operation_id):
        self._url, self._operation_id = url, operation_id
        self.changes, self.lines = [], []

    async def run(self):
        async with Client(self._url, on_change=self.changes.append) as client:
            async for event in client.watch(self._operation_id):
                if event.event_type == "log":
                    self.lines.append(int(event.data["message"]))

    def check(self, lines):
        """It has seen each line once, and its log tells of connections to which nothing is lost.

        Returns:
            How often it has connected again.
        """
        assert self.lines == lines
        first, *later = self.changes
        assert first.reconnected is False
        for lost, found in zip(later[::2], later[1::2], strict=True):
            assert isinstance(lost, Disconnected)
            assert lost.code == RESTARTING
            assert found == Connected(reconnected=True, recovered=True)
        return len(later) // 2


class Load:
    """Numbered lines of some operations, and their ends when the block ends."""

    def __init__(self, write):
        self._write = write
        self.ids = [str(uuid.uuid4()) for _ in range(OPERATIONS)]
        self.lines = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write_lines)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        self._over.set()
        self._thread.join()

    def _write_lines(self):
        self._write_all(status, "started", operation_type="t", metadata={})
        while not self._over.wait(0.1):
            self._write_all(log, str(len(self.lines)))
            self.lines.append(len(self.lines))
        self._write_all(completed, duration=1.0)

    def _write_all(self, make, *arguments, **more):
        now = time.time()
        self._write(*[make(*arguments, at=now, operation_id=one, **more) for one in self.ids])


async def watch_during(machine, write, replace):
    """Watch while the sidecars are replaced; returns how often each client has connected again."""
    with Load(write) as load:
        watchers = [Watcher(machine.url, load.ids[n % OPERATIONS]) for n in range(WATCHERS)]
        running = [asyncio.create_task(one.run()) for one in watchers]
        await asyncio.to_thread(eventually, lambda: all(one.lines for one in watchers))
        expected = await asyncio.to_thread(replace)
        seen = len(load.lines)
        await asyncio.to_thread(eventually, lambda: all(len(one.lines) > seen for one in watchers))
    await asyncio.gather(*running)
    return [one.check(load.lines) for one in watchers], expected


@pytest.fixture(autouse=True)
def trusted(machine, monkeypatch):
    """Clients trust the site's certificate."""
    monkeypatch.setenv("SSL_CERT_FILE", str(machine.certificate))


def test_one_after_the_other(machine, write):
    first, second = machine.services

    def replace():
        before = first.clients
        for one, other in ((first, second), (second, first)):
            assert one.stop() == 0
            eventually(lambda other=other: other.clients == WATCHERS)
            one.start()
        return before + WATCHERS

    reconnects, expected = run(watch_during(machine, write, replace))
    assert set(reconnects) <= {1, 2}
    # One for each sidecar that it was on.
    assert sum(reconnects) == expected


def test_the_new_ones_beside_the_old_ones(machine, write):
    old = [*machine.services]

    def replace():
        new = [machine.add(name) for name in "34"]
        machine.send_to("34")
        for one in old:
            assert one.stop() == 0
        eventually(lambda: sum(one.clients for one in new) == WATCHERS)
        return WATCHERS

    reconnects, expected = run(watch_during(machine, write, replace))
    assert set(reconnects) == {1}
    assert sum(reconnects) == expected
