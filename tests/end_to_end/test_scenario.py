"""The whole path on every broker: a task, the log, the sidecar, clients that know the base only.

On Redis and RabbitMQ a real prefork worker; over kombu's memory transport, which reaches no
further than a process, a worker by threads beside the sidecar.
"""

from __future__ import annotations

import json
import uuid
from contextlib import ExitStack

import base_clients
import pytest
import scenario
from celery.contrib.testing.worker import start_worker
from support.conditions import eventually
from support.sidecars import SidecarProcess, SidecarThread
from support.wire_document import connect
from support.workers import Worker

from celery_wsprogress.brokers.address import broker_address


class Stack:
    """A broker with a worker and a sidecar, and a way to start tasks."""

    def __init__(self, app, url):
        self._app = app
        self.url = url

    def start(self, name, *args, **options):
        task_id = options.pop("task_id", None) or str(uuid.uuid4())
        self._app.tasks[f"scenario.{name}"].apply_async(args, task_id=task_id, **options)
        return task_id

    def snapshot(self, task_id):
        with connect(self.url, compression=None) as websocket:
            websocket.recv()
            websocket.send(json.dumps({"command": "get_operation", "operation_id": task_id}))
            return json.loads(websocket.recv())["operation"]

    def wait_until(self, task_id, *states):
        return eventually(
            lambda: (found := self.snapshot(task_id)) and found["state"] in states and found,
            what=f"{task_id} to be {states}",
        )

    def watch(self, client, task_id, ready=None):
        return base_clients.watch(client, self.url, task_id, ready)


def _memory_stack(stack):
    app = scenario.make_app("memory://", "cache+memory://")
    stack.enter_context(start_worker(app, pool="threads", concurrency=4, perform_ping_check=False))
    sidecar = SidecarThread(broker_address(app), monitor_unsubscribed=True)
    return Stack(app, stack.enter_context(sidecar).url)


def _process_stack(stack, url, backend):
    app = scenario.make_app(url, backend)
    stack.enter_context(Worker("scenario", broker=url, backend=backend))
    sidecar = SidecarProcess(url, "--monitor-unsubscribed")
    return Stack(app, stack.enter_context(sidecar).url)


@pytest.fixture(scope="module", params=["redis", "rabbitmq", "memory"])
def stack(request):
    with ExitStack() as closes:
        if request.param == "memory":
            yield _memory_stack(closes)
        else:
            backend = request.getfixturevalue("redis_server").url
            url = request.getfixturevalue(f"{request.param}_server").url
            yield _process_stack(closes, url, backend)


@pytest.fixture
def gate(tmp_path):
    return tmp_path / "gate"


def check_steps(printed, *, whole=True):
    """What every client must have shown of ``steps``, in this order."""
    must = ["[WARNING] careful", "status halfway: ", 'result {"parts": 4}']
    if whole:
        must.insert(0, "25% quarter {'part': 1}")
    places = [printed.index(line) for line in must]
    assert places == sorted(places)
    assert printed[-1].startswith("completed in ")
    assert "75%  {}" in printed
    assert len([line for line in printed if line.startswith("status started")]) == 1


@pytest.mark.parametrize("client", base_clients.CLIENTS)
def test_a_client_that_subscribes_before_the_task(stack, gate, client):
    gate.touch()
    task_id = str(uuid.uuid4())
    check_steps(
        stack.watch(client, task_id, lambda: stack.start("steps", str(gate), task_id=task_id)),
        whole=False,  # the progress before the gate may be conflated away
    )


@pytest.mark.parametrize("client", base_clients.CLIENTS)
def test_a_client_that_subscribes_during_the_task(stack, gate, client):
    task_id = stack.start("steps", str(gate))
    eventually(lambda: (found := stack.snapshot(task_id)) and found["progress"] == 0.25)
    check_steps(stack.watch(client, task_id, gate.touch), whole=False)


@pytest.mark.parametrize("client", base_clients.CLIENTS)
def test_a_client_that_subscribes_after_the_task(stack, gate, client):
    gate.touch()
    task_id = stack.start("steps", str(gate))
    stack.wait_until(task_id, "completed")
    check_steps(stack.watch(client, task_id), whole=False)


def test_a_client_that_never_subscribes(stack, gate):
    gate.touch()
    task_id = str(uuid.uuid4())

    def start():
        stack.start("steps", str(gate), task_id=task_id)

    check_steps(stack.watch(base_clients.unsubscribed, task_id, start), whole=False)


@pytest.mark.parametrize("client", base_clients.CLIENTS)
def test_a_result_of_two_megabytes(stack, client):
    task_id = stack.start("big")
    printed = stack.watch(client, task_id)
    assert printed[-1].startswith("completed in ")
    assert "[WARNING] this will be large" in printed


@pytest.mark.parametrize("client", base_clients.CLIENTS)
def test_an_operation_that_ran_twice(stack, client, tmp_path):
    task_id = stack.start("second_time_lucky", str(tmp_path / "tried"))
    stack.wait_until(task_id, "error")
    stack.start("second_time_lucky", str(tmp_path / "tried"), task_id=task_id)
    stack.wait_until(task_id, "completed")
    printed = stack.watch(client, task_id)
    assert printed[-1].startswith("completed in ")
    assert not [line for line in printed if line.startswith("error")]


@pytest.mark.parametrize("client", base_clients.CLIENTS)
def test_a_retry_is_no_end(stack, client):
    task_id = str(uuid.uuid4())
    printed = stack.watch(client, task_id, lambda: stack.start("retries_once", task_id=task_id))
    assert [line for line in printed if line.startswith("status retrying")]
    assert printed[-1].startswith("completed in ")
    assert 'result "done"' in printed
