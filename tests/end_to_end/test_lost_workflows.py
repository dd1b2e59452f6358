"""Workflows whose worker is killed with all its processes: no other one says how they end."""

from __future__ import annotations

import json

import pytest
from support.conditions import eventually
from support.projects import load_project
from support.sidecars import SidecarThread
from support.wire_document import connect
from support.workers import Worker

from celery_wsprogress.brokers import BrokerAddress

SOON = {"lost_after": 3.0}


def ask(url, **fields):
    with connect(url) as websocket:
        websocket.recv()
        websocket.send(json.dumps({"command": "get_operation", **fields}))
        return json.loads(websocket.recv())["operation"]


@pytest.fixture
def project(redis_server):
    return load_project("canvases", redis_server.url, redis_server.url)


@pytest.mark.filterwarnings("ignore:Task name")
@pytest.mark.parametrize("shape", ["lost in a chain", "lost in a header"])
def test_what_a_killed_worker_leaves_behind_ends(redis_server, project, shape):
    url = redis_server.url
    environment = {"WSPROGRESS_SIGN_INTERVAL": "0.2", "DEFAULT_QUEUE": "lost"}
    project.app.conf.task_default_queue = "lost"
    with (
        SidecarThread(BrokerAddress(url), **SOON) as sidecar,
        Worker("canvases", broker=url, backend=url, environment=environment) as worker,
    ):
        result = project.CANVASES[shape]().apply_async()

        def in_its_last_task():
            shown = ask(sidecar.url, workflow_id=result.id)
            return shown and (shown["details"]["completed"], shown["details"]["running"]) == (1, 1)

        eventually(in_its_last_task, what="the task that waits")
        worker.kill()
        eventually(
            lambda: (ask(sidecar.url, operation_id=result.id) or {}).get("state") == "error",
            what="the end of the task that the caller holds",
        )
        for fields in ({"workflow_id": result.id}, {"operation_id": result.id}):
            shown = ask(sidecar.url, **fields)
            assert (shown["state"], shown["error_type"]) == ("error", "WorkerLost")
