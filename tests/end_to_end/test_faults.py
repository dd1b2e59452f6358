"""The broker dies in the middle of a task; a pool process is killed."""

from __future__ import annotations

import base_clients
import pytest
import redis
import scenario
from subscribed_client import to_the_end, until, watching
from support.conditions import eventually
from support.sidecars import SidecarProcess
from support.workers import Worker


@pytest.mark.parametrize("kind", ["own_redis", "own_rabbitmq"])
def test_a_broker_that_dies_neither_stops_the_task_nor_loses_what_it_said(
    request, redis_server, tmp_path, kind
):
    broker = request.getfixturevalue(kind)
    gate, done = tmp_path / "gate", tmp_path / "done"
    app = scenario.make_app(broker.url, redis_server.url)
    with (
        Worker("scenario", broker=broker.url, backend=redis_server.url),
        SidecarProcess(broker.url) as sidecar,
    ):
        task_id = app.tasks["scenario.carries_on"].delay(str(gate), str(done)).id
        with watching(sidecar, task_id) as frames:
            seen = until(frames, "progress")
            broker.kill()
            gate.touch()
            eventually(done.exists, what="the task's code to get through without a broker")
            assert not broker.running
            broker.start()
            seen += to_the_end(frames)
    assert seen[-1]["event_type"] == "completed"
    assert [f["data"]["message"] for f in seen if f["event_type"] == "log"] == [
        f"line {number}" for number in range(1_000, 10_001, 1_000)
    ]
    last_progress = [frame for frame in seen if frame["event_type"] == "progress"][-1]
    assert last_progress["data"]["current"] == 10_000
    assert [f["data"]["result"] for f in seen if f["event_type"] == "result"] == ["through"]


def test_a_killed_pool_process_is_an_error(redis_server, tmp_path):
    app = scenario.make_app(redis_server.url, redis_server.url)
    with (
        Worker("scenario", broker=redis_server.url, backend=redis_server.url) as worker,
        SidecarProcess(redis_server.url) as sidecar,
    ):
        task_id = app.tasks["scenario.steps"].delay(str(tmp_path / "gate")).id
        with watching(sidecar, task_id) as frames:
            until(frames, "progress")
            worker.kill_children()
            end = to_the_end(frames)[-1]
    assert end["event_type"] == "error"
    assert end["data"]["error_type"] == "WorkerLostError"
    assert end["data"]["duration"] > 0


@pytest.mark.parametrize("client", base_clients.CLIENTS)
def test_an_end_whose_start_is_no_longer_held(redis_server, tmp_path, client):
    """The log was trimmed while the task ran, and the sidecar started after that."""
    redis_server.clear()
    gate = tmp_path / "gate"
    app = scenario.make_app(redis_server.url, redis_server.url)
    with Worker("scenario", broker=redis_server.url, backend=redis_server.url):
        task_id = app.tasks["scenario.steps"].delay(str(gate)).id
        with redis.Redis(port=redis_server.port) as connection:
            eventually(lambda: "careful" in repr(connection.xrange("celery_wsprogress")))
            connection.xtrim("celery_wsprogress", maxlen=0, approximate=False)
        with SidecarProcess(redis_server.url) as sidecar:
            printed = base_clients.watch(client, sidecar.url, task_id, gate.touch)
    assert printed[-1].startswith("completed in ")
    assert not [line for line in printed if "careful" in line or "started" in line]
