"""Cancel over the WebSocket: real sidecars, brokers and workers. What is told is what happened."""

from __future__ import annotations

import contextlib
import json
import uuid

import pytest
from celery import Celery, chain
from support.conditions import eventually
from support.sidecars import SidecarProcess, SidecarThread
from support.tokens import KEY
from support.wire_document import connect
from support.workers import Worker

from celery_wsprogress import StreamingTask, create_token
from celery_wsprogress.brokers import BrokerAddress


class Watcher:
    """A client that watches an operation and may cancel it."""

    def __init__(self, websocket):
        self._websocket = websocket
        self.features = json.loads(websocket.recv())["data"]["features"]
        self.events = []

    def ask(self, command, **fields):
        """The reply to a command; events that come before are kept."""
        self._websocket.send(json.dumps({"command": command, **fields}))
        while (frame := json.loads(self._websocket.recv(60)))["event_type"] != "reply":
            self.events.append(frame)
        return frame

    def wait_for(self, word):
        """The event with this status, or of this type."""
        while True:
            for event in self.events:
                if word in {event["event_type"], event["data"].get("status")}:
                    return event
            self.events.append(json.loads(self._websocket.recv(60)))


def unknown_here(*_):
    """What a caller has of a task: a name."""


@pytest.fixture
def watch():
    """Connects and subscribes to a task."""
    with contextlib.ExitStack() as stack:

        def watch_task(url, task_id, **fields):
            watcher = Watcher(stack.enter_context(connect(url, compression=None)))
            assert "error" not in watcher.ask("subscribe", operation_id=task_id, **fields)
            return watcher

        yield watch_task


@pytest.fixture
def app(broker_url, redis_url):
    return Celery("caller", broker=broker_url, backend=redis_url, set_as_current=False)


@pytest.fixture
def worker(broker_url, redis_url):
    with Worker("ends", broker=broker_url, backend=redis_url) as worker:
        yield worker


def send(app, name, **options):
    return app.send_task(f"ends.{name}", headers={"wsprogress": {"follow": True}}, **options)


def test_a_client_cancels_a_task_that_looks(watch, app, worker, broker_url):
    with SidecarThread(BrokerAddress(broker_url), allow_cancel=True) as sidecar:
        task = send(app, "looks_whether_it_is_cancelled")
        watcher = watch(sidecar.url, task.id)
        assert "cancel" in watcher.features
        watcher.wait_for("log")
        reply = watcher.ask("cancel", operation_id=task.id, reason="wrong file")
        assert reply["status"] == "accepted"
        end = watcher.wait_for("error")["data"]
        assert (end["status"], app.AsyncResult(task.id).state) == ("cancelled", "REVOKED")
        assert end["error"] == "the task was cancelled while it ran: wrong file"
        late = watcher.ask("cancel", operation_id=task.id)
        assert (late["status"], late["state"]) == ("ended", "cancelled")


def test_a_client_ends_the_process_of_one_that_does_not(watch, app, worker, broker_url):
    with SidecarThread(BrokerAddress(broker_url), allow_cancel=True) as sidecar:
        task = send(app, "never_looks")
        watcher = watch(sidecar.url, task.id)
        watcher.wait_for("log")
        watcher.ask("cancel", operation_id=task.id, terminate=True)
        assert watcher.wait_for("error")["data"]["status"] == "cancelled"
        assert app.AsyncResult(task.id).state == "REVOKED"


def test_too_late_is_completed(watch, app, worker, broker_url):
    with SidecarThread(BrokerAddress(broker_url), allow_cancel=True) as sidecar:
        task = send(app, "never_looks")
        watcher = watch(sidecar.url, task.id)
        watcher.wait_for("log")
        assert watcher.ask("cancel", operation_id=task.id)["status"] == "accepted"
        watcher.wait_for("cancelling")
        watcher.wait_for("completed")
        assert app.AsyncResult(task.id).state == "SUCCESS"


def test_what_waits_does_not_run(watch, app, worker, broker_url):
    with SidecarThread(BrokerAddress(broker_url), allow_cancel=True) as sidecar:
        task = send(app, "never_looks", countdown=600)
        watcher = watch(sidecar.url, task.id)
        watcher.wait_for("scheduled")
        assert watcher.ask("cancel", operation_id=task.id)["status"] == "accepted"
        assert watcher.wait_for("error")["data"]["status"] == "cancelled"
        assert app.AsyncResult(task.id).state == "REVOKED"


def test_a_workflow_is_cancelled_with_the_steps_that_are_not_sent_yet(
    watch, app, worker, broker_url
):
    first, second = (
        app.task(base=StreamingTask, name=f"ends.{name}", typing=False, shared=False)(unknown_here)
        for name in ("looks_whether_it_is_cancelled", "collects")
    )
    with SidecarThread(BrokerAddress(broker_url), allow_cancel=True) as sidecar:
        held = chain(first.s(), second.s()).apply_async()
        watch(sidecar.url, held.parent.id).wait_for("log")
        watcher = watch(sidecar.url, f"workflow:{held.id}")
        # Its plan comes from this process, which may be slower than the worker.
        watcher.wait_for("started")
        assert watcher.ask("cancel", workflow_id=held.id)["status"] == "accepted"
        assert watcher.wait_for("error")["data"]["status"] == "cancelled"
        assert held.parent.state == "REVOKED"
        late = watch(sidecar.url, held.id)
        assert late.wait_for("error")["data"]["status"] in {"cancelled", "error"}


def test_a_token_lets_its_holder_cancel_what_it_names(watch, app, worker, broker_url):
    tasks = [send(app, "looks_whether_it_is_cancelled") for _ in range(2)]
    token = create_token([tasks[0].id], can=["watch", "cancel"], key=KEY)
    only_watches = create_token([tasks[0].id], key=KEY)
    with SidecarThread(BrokerAddress(broker_url), key=KEY) as sidecar:
        watcher = watch(sidecar.url, tasks[0].id, token=only_watches)
        watcher.wait_for("log")
        assert watcher.ask("cancel", operation_id=tasks[0].id)["code"] == "forbidden"
        watcher.ask("authenticate", token=token)
        assert watcher.ask("cancel", operation_id=tasks[1].id)["code"] == "forbidden"
        assert watcher.ask("cancel", operation_id=tasks[0].id)["status"] == "accepted"
        assert watcher.wait_for("error")["data"]["status"] == "cancelled"
    assert tasks[1].state != "REVOKED"
    tasks[1].revoke()


def test_a_sidecar_cancels_nothing_unless_it_is_allowed(watch, broker_url):
    with SidecarThread(BrokerAddress(broker_url)) as sidecar:
        watcher = watch(sidecar.url, "any")
        assert "cancel" not in watcher.features
        assert watcher.ask("cancel", operation_id="any")["code"] == "forbidden"


def test_the_program_knows_celerys_broker_from_the_application(
    watch, own_redis, app, broker_url, redis_url
):
    """The events are on another broker than Celery's."""
    environment = {"BROKER_URL": broker_url, "RESULT_BACKEND": redis_url}
    with (
        Worker(
            "ends", broker=broker_url, backend=redis_url, options=("-Q", "apart"),
            environment={"WSPROGRESS_URL": own_redis.url},
        ),
        SidecarProcess(own_redis.url, "-A", "ends", "--allow-cancel", environment=environment)
        as sidecar,
    ):  # fmt: skip
        task = send(app, "looks_whether_it_is_cancelled", queue="apart")
        watcher = watch(sidecar.url, task.id)
        watcher.wait_for("log")
        assert watcher.ask("cancel", operation_id=task.id)["status"] == "accepted"
        assert watcher.wait_for("error")["data"]["status"] == "cancelled"


def test_a_broker_that_is_down_is_told(watch, own_redis):
    with SidecarThread(BrokerAddress(own_redis.url), allow_cancel=True) as sidecar:
        watcher = watch(sidecar.url, "any")
        own_redis.kill()
        assert watcher.ask("cancel", operation_id="any")["code"] == "unavailable"
        own_redis.start()
        task_id = str(uuid.uuid4())
        eventually(lambda: watcher.ask("cancel", operation_id=task_id).get("status") == "accepted")
