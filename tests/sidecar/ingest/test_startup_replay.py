"""A sidecar that has not read the log yet tells nobody how anything stands."""

from __future__ import annotations

import asyncio
import json
import logging
import urllib.error
import urllib.request

import pytest
from support.asyncio_runner import run
from support.conditions import eventually
from support.event_log import log_writer
from support.ports import free_port
from support.programs import run as run_command
from support.sample_events import completed, status
from support.sidecars import SidecarThread
from support.wire_document import connect
from websockets.exceptions import InvalidStatus

from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.sidecar.ingest import startup_replay
from celery_wsprogress.sidecar.ingest.startup_replay import StartupReplay


def test_who_waits_is_let_in_when_it_is_done():
    async def main():
        one = StartupReplay()
        waiting = asyncio.ensure_future(one.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        one.complete()
        assert await waiting
        assert await one.wait()

    run(main())


def test_who_waits_too_long_or_in_vain_is_not(monkeypatch):
    async def main():
        one = StartupReplay()
        monkeypatch.setattr(startup_replay, "HANDSHAKE_HOLD", 0.01)
        assert not await one.wait()
        monkeypatch.setattr(startup_replay, "HANDSHAKE_HOLD", 60.0)
        waiting = asyncio.ensure_future(one.wait())
        await asyncio.sleep(0)
        one.cancel()
        assert not await waiting

    run(main())


def test_how_far_it_is_is_said_once_in_a_while(monkeypatch, caplog):
    monkeypatch.setattr(startup_replay, "LOG_INTERVAL", 0.0)
    one = StartupReplay()
    with caplog.at_level(logging.INFO, "celery_wsprogress"):
        one.advance("1000-0", "2000-5", 10)
        one.advance("1500-3", "2000-5", 20)
        one.advance("2001-0", "2000-5", 1)
        one.complete()
    said = [record.message for record in caplog.records]
    assert said[:3] == [
        "Reading the log: 0%, 10 events",
        "Reading the log: 50%, 30 events",
        "Reading the log: 100%, 31 events",
    ]
    assert said[3].startswith("Read the log: 31 events in ")


def test_a_short_log_is_read_without_a_word(caplog):
    one = StartupReplay()
    with caplog.at_level(logging.INFO, "celery_wsprogress"):
        one.advance("17", "18", 10)
        one.complete()
    assert not caplog.records


def test_a_client_sees_the_whole_log_or_nothing(redis_url):
    """The first thing anybody is told is how things stand at the end of what was retained."""
    with log_writer(redis_url) as write:
        for number in range(3_000):
            write(status("started", operation_id=f"op-{number}", metadata={}))
            write(completed(operation_id=f"op-{number}"))
    with (
        SidecarThread(BrokerAddress(redis_url), wait=False) as sidecar,
        connect(sidecar.url, compression=None) as client,
    ):
        client.recv()
        client.send(json.dumps({"command": "get_operation", "operation_id": "op-2999"}))
        assert json.loads(client.recv())["operation"]["status"] == "completed"


@pytest.fixture
def unread(monkeypatch):
    """A sidecar whose broker is away, so that it never gets to read the log."""
    monkeypatch.setattr(startup_replay, "HANDSHAKE_HOLD", 0.1)
    address = BrokerAddress(f"redis://localhost:{free_port()}/0")
    with SidecarThread(address, wait=False) as sidecar:
        yield sidecar


def test_a_handshake_is_held_and_then_told_that_the_broker_is_away(unread):
    eventually(lambda: unread.sidecar.ingest.status.error)
    with pytest.raises(InvalidStatus) as caught:
        connect(unread.url, compression=None)
    response = caught.value.response
    assert response.status_code == 503
    assert response.body.decode() == "The sidecar runs; its broker is away: ConnectionError\n"
    assert "Retry-After" not in response.headers
    done = run_command("list", "--url", unread.url)
    assert done.returncode == 2
    assert "its broker is away: ConnectionError. Check the broker that `serve`" in done.stderr


@pytest.mark.parametrize("path", ["/operations", "/operations/op-1"])
def test_nobody_is_told_how_an_operation_stands(unread, path):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(unread.http + path, timeout=30)
    assert caught.value.code == 503
    assert caught.value.headers["Retry-After"] == "5"


@pytest.mark.parametrize("path", ["/", "/healthz", "/status"])
def test_what_is_true_in_any_case_is_answered(unread, path):
    with urllib.request.urlopen(unread.http + path, timeout=30) as response:
        assert response.status == 200


def test_a_broker_that_comes_late_ends_the_hold(own_redis):
    own_redis.kill()
    with SidecarThread(BrokerAddress(own_redis.url), wait=False) as sidecar:
        eventually(lambda: sidecar.sidecar.ingest.status.reconnects)
        own_redis.start()
        with connect(sidecar.url, compression=None, open_timeout=60) as client:
            assert json.loads(client.recv())["event_type"] == "connected"
