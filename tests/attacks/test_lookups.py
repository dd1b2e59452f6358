"""Clients that ask the result backend, by way of the sidecar, more than it can answer."""

from __future__ import annotations

import json
import time
import urllib.request
from contextlib import ExitStack, contextmanager

import pytest
from celery import Celery, states
from support.conditions import eventually
from support.event_log import publish
from support.sample_events import status
from support.sidecars import SidecarThread
from websockets.sync.client import connect

from celery_wsprogress.brokers import BrokerAddress
from celery_wsprogress.brokers.result_backend import open_backend
from celery_wsprogress.protocol.batches import encode_event, join_batch
from celery_wsprogress.sidecar.liveness.result_lookup import ResultLookup

#: Seconds that the backend takes for an answer: thousands of them take far longer than a test.
SLOWNESS = 0.05


class SlowBackend:
    """A real result backend behind a slow connection."""

    def __init__(self, url):
        self._backend = open_backend(None, url)

    def get_task_meta(self, task_id, **how):
        time.sleep(SLOWNESS)
        return self._backend.get_task_meta(task_id, **how)

    def __getattr__(self, name):
        return getattr(self._backend, name)


@pytest.fixture
def backend(redis_url):
    return Celery("asked", broker="memory://", backend=redis_url, set_as_current=False).backend


@pytest.fixture
def sidecar(redis_url):
    lookup = ResultLookup(lambda: SlowBackend(redis_url))
    settings = {"lost_after": 1, "answer_unknown": True}
    with SidecarThread(BrokerAddress(redis_url), backend=lookup, **settings) as made:
        yield made


@contextmanager
def client(sidecar, **fields):
    """A client that has subscribed."""
    with connect(sidecar.url, compression=None) as websocket:
        websocket.recv()
        websocket.send(json.dumps({"command": "subscribe", **fields}))
        assert json.loads(websocket.recv())["status"] == "subscribed"
        yield websocket


def start_silent_run(redis_url, operation_id):
    event = status("started", metadata={}, worker="w", at=time.time(), operation_id=operation_id)
    publish(BrokerAddress(redis_url), join_batch("w", 1, [encode_event(event)], every=0.1))


def end_of(websocket):
    while True:
        frame = json.loads(websocket.recv(timeout=60))
        if frame["event_type"] in {"completed", "error"}:
            return frame


def ids(name, count=5_000):
    return [f"{name}-{number}" for number in range(count)]


def test_a_task_that_succeeded_is_not_lost_because_a_client_asks_for_thousands_of_others(
    redis_url, backend, sidecar
):
    backend.store_result("silent", 7, states.SUCCESS)
    with ExitStack() as attackers:
        for number in range(3):
            asking = client(sidecar, operation_ids=ids(f"unknown-{number}"))
            attackers.enter_context(asking)
        start_silent_run(redis_url, "silent")
        with client(sidecar, operation_id="silent") as websocket:
            assert end_of(websocket)["event_type"] == "completed"


def test_a_client_that_asks_for_one_id_waits_for_its_turn_only(backend, sidecar):
    backend.store_result("hers", 7, states.SUCCESS)
    with ExitStack() as attackers:
        for number in range(12):
            asking = client(sidecar, operation_ids=ids(f"unknown-{number}", 500))
            attackers.enter_context(asking)
        with client(sidecar, operation_id="hers") as websocket:
            assert end_of(websocket)["event_type"] == "completed"
        with urllib.request.urlopen(f"{sidecar.http}/metrics", timeout=30) as response:
            text = response.read().decode()
    [line] = [one for one in text.splitlines() if one.startswith("celery_wsprogress_lookups_ref")]
    # Of 6,000 questions 1,000 may wait at a time; 20 a second are answered.
    assert float(line.split()[1]) > 4_000


def test_nobody_is_lost_while_the_backend_does_not_answer(own_redis, redis_url):
    own = Celery("own", broker="memory://", backend=own_redis.url, set_as_current=False)
    own.backend.store_result("silent", 7, states.SUCCESS)
    lookup = ResultLookup(lambda: open_backend(None, own_redis.url), answer_timeout=0.5)
    with SidecarThread(BrokerAddress(redis_url), backend=lookup, lost_after=1) as sidecar:
        own_redis.pause()
        start_silent_run(redis_url, "silent")
        with client(sidecar, operation_id="silent") as websocket:
            record = eventually(lambda: sidecar.sidecar.hub.store.get("silent"))
            eventually(lambda: record.operation.status == "stalled")
            # Far longer than it takes to be lost.
            checks = 40 * [None]
            eventually(lambda: checks.pop() or not checks, interval=0.1)
            assert not record.operation.state.ended
            own_redis.resume()
            assert end_of(websocket)["event_type"] == "completed"
