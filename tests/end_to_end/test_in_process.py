"""An in-process server, a Celery worker and a stand-alone sidecar on one broker."""

from __future__ import annotations

import json
import uuid
from contextlib import ExitStack, contextmanager

import mixed
import pytest
from support import process_state
from support.asyncio_runner import run
from support.conditions import eventually
from support.sidecars import SidecarProcess
from support.wire_document import connect
from support.workers import Worker

from celery_wsprogress import operation, start_websocket_background, ws_manager
from celery_wsprogress.sidecar.embedded import background


class Servers:
    """The server of this process, the one that stands alone, and an app for the worker."""

    def __init__(self, app, urls):
        self.tasks = app.tasks
        self._urls = urls

    @contextmanager
    def watching(self, name):
        """Watch an operation on both from before it begins; gives what both showed, as one."""
        with ExitStack() as stack:
            clients = [stack.enter_context(connect(url, compression=None)) for url in self._urls]
            for client in clients:
                client.recv()
                client.send(json.dumps({"command": "subscribe", "operation_id": name}))
                assert json.loads(client.recv())["status"] == "subscribed"
            shown = []
            yield shown
            first, second = (watched(client) for client in clients)
            assert first == second
            shown += first


def watched(client):
    """What is shown up to the end, but for progress, of which there may be less or more."""
    found = []
    while not found or found[-1]["event_type"] not in {"completed", "error"}:
        frame = json.loads(client.recv(60))
        frame.pop("event_id")
        if frame["event_type"] != "progress":
            found.append(frame)
    return found


def words(frames):
    said = [frame["data"].get("status", frame["event_type"]) for frame in frames]
    return [word for word in said if word not in {"queued", "received"}]


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def servers(request):
    url = request.getfixturevalue(f"{request.param}_server").url
    backend = request.getfixturevalue("redis_server").url
    app = mixed.make_app(url, backend)
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        stack.enter_context(process_state.fresh(patch, app=app))
        stack.enter_context(Worker("mixed", broker=url, backend=backend))
        alone = stack.enter_context(SidecarProcess(url))
        server = start_websocket_background(port=0)
        eventually(lambda: background.call(lambda one: one.readiness()["ready"], default=False))
        yield Servers(app, (server.url, alone.url))


def test_a_celery_task(servers):
    name = str(uuid.uuid4())
    with servers.watching(name) as shown:
        servers.tasks["mixed.counts"].apply_async(task_id=name)
    assert words(shown) == ["started", "log", "result", "completed"]
    assert shown[-2]["data"]["result"] == 3


def test_an_operation_of_this_process(servers):
    with servers.watching("ours") as shown, operation("import", operation_id="ours") as op:
        op.update_status("reading")
        op.result(1)
    assert words(shown) == ["started", "reading", "result", "completed"]


def test_an_operation_by_its_id(servers):
    async def begin():
        return await ws_manager.create_operation("import", {"file": "a"})

    name = run(begin())
    with servers.watching(name) as shown:
        run(ws_manager.emit_error(name, ValueError("no")))
    assert words(shown)[-1] == "error"
    found = ws_manager.get_operation(name)
    assert (found["status"], found["error_type"]) == ("error", "ValueError")
    assert found["metadata"] == {"file": "a"}


def test_an_operation_inside_a_plain_task(servers):
    with servers.watching("inside") as shown:
        servers.tasks["mixed.plain"].apply_async(["inside"])
    assert words(shown) == ["started", "log", "result", "completed"]
    assert shown[-2]["data"]["result"] == "done"


def test_a_task_that_forgets_to_leave_an_operation_ends_all_the_same(servers):
    for _ in range(3):
        name = str(uuid.uuid4())
        with servers.watching(name) as shown:
            servers.tasks["mixed.leaves_open"].apply_async([f"open in {name}"], task_id=name)
        assert words(shown) == ["started", "result", "completed"]
