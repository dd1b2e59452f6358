"""Ends that nobody says: a watcher gets them all the same, from the result backend or as a loss."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from celery import Celery, states
from subscribed_client import to_the_end, until, watching
from support.conditions import eventually
from support.sidecars import SidecarProcess
from support.wire_document import connect
from support.workers import PROJECTS, Worker

from celery_wsprogress import StreamingTask

QUICK = {"WSPROGRESS_SIGN_INTERVAL": "0.2"}
"""Of the processes that give signs."""

LOST_AFTER = ("--lost-after", "3")


def words(frames):
    return [
        frame["data"]["status"] if frame["event_type"] == "status" else frame["event_type"]
        for frame in frames
        if frame["event_type"] not in {"progress", "log"}
    ]


def snapshot(sidecar, operation_id):
    with connect(sidecar.url, compression=None) as websocket:
        websocket.recv()
        websocket.send(json.dumps({"command": "get_operation", "operation_id": operation_id}))
        return json.loads(websocket.recv())["operation"]


@pytest.fixture
def app(redis_url):
    return Celery("caller", broker=redis_url, backend=redis_url, set_as_current=False)


@pytest.fixture
def worker(redis_url):
    with Worker("life", broker=redis_url, backend=redis_url, environment=QUICK) as started:
        yield started


def test_a_child_that_dies_when_its_success_is_stored(redis_url, app, worker):
    """Celery says nothing at all about this run, before 5.7 that it has failed.

    Whether the child's first word was written before it died is a matter of milliseconds.
    """
    with SidecarProcess(redis_url, *LOST_AFTER, "--result-backend", redis_url) as sidecar:
        task_id = app.send_task("life.dies_afterwards").id
        with watching(sidecar, task_id) as frames:
            seen = to_the_end(frames)
    assert words(seen)[-2:] == ["result", "completed"]
    assert [f["data"]["result"] for f in seen if f["event_type"] == "result"] == ["stored"]
    assert "inferred" not in json.dumps(seen)


def test_a_result_that_must_not_leave_does_not_leave_by_the_backend(redis_url, app, worker):
    with SidecarProcess(redis_url, *LOST_AFTER, "--result-backend", redis_url) as sidecar:
        task_id = app.send_task("life.dies_with_a_secret").id
        with watching(sidecar, task_id) as frames:
            seen = to_the_end(frames)
    assert words(seen)[-1] == "completed"
    assert "result" not in words(seen)
    assert "secret" not in json.dumps(seen).replace("dies_with_a_secret", "")


def test_a_whole_worker_that_is_killed(redis_url, app, worker):
    """Without a result backend nobody knows more than that it is gone."""
    with SidecarProcess(redis_url, *LOST_AFTER) as sidecar:
        task_id = app.send_task("life.sleeps").id
        with watching(sidecar, task_id) as frames:
            until(frames, "progress")
            worker.kill()
            seen = to_the_end(frames)
    assert words(seen) == ["stalled", "error"]
    assert seen[-1]["data"]["error_type"] == "WorkerLost"
    assert worker.name in seen[-1]["data"]["error"]
    assert seen[-1]["data"]["duration"] > 0


def test_a_worker_that_lives_is_never_stalled_however_long_its_task_is_silent(
    redis_url, app, worker
):
    """Nor is it, or what waits for its time, let go as soon as what has ended."""
    with SidecarProcess(redis_url, "--lost-after", "1", "--max-age", "1") as sidecar:
        waiting_id = app.send_task("life.sleeps", [1.0], countdown=600).id
        with watching(sidecar, waiting_id) as frames:
            until(frames, "status")
        task_id = app.send_task("life.sleeps", [6.0]).id
        with watching(sidecar, task_id) as frames:
            seen = to_the_end(frames)
        eventually(lambda: snapshot(sidecar, task_id) is None, what="what has ended to be let go")
        assert snapshot(sidecar, waiting_id)["state"] == "scheduled"
    assert words(seen)[-2:] == ["result", "completed"]
    assert "stalled" not in words(seen)


def test_a_task_whose_replacement_takes_its_time_is_not_lost(redis_url, app, worker):
    """Nobody gives a sign of it while the first step of the chain runs under an id of its own."""
    with SidecarProcess(redis_url, "--lost-after", "1", "--result-backend", redis_url) as sidecar:
        task_id = app.send_task("life.replaced", ["slow"]).id
        with watching(sidecar, task_id) as frames:
            seen = to_the_end(frames)
            assert app.AsyncResult(task_id).get(timeout=30) == 3
    said = [word for word in words(seen) if word not in {"queued", "received"}]
    assert said[-4:] == ["replaced", "started", "result", "completed"]
    assert "stalled" not in said


def test_a_task_that_is_unknown_to_a_worker_which_follows_none(redis_url, app):
    """No handler of ours is connected there: what Celery stores is all there is to know."""

    @app.task(base=StreamingTask, name="only.the.caller.has", shared=False)
    def newer():
        pass

    worker = Worker("unstreamed", broker=redis_url, backend=redis_url)
    with worker, SidecarProcess(redis_url, *LOST_AFTER, "--result-backend", redis_url) as sidecar:
        task_id = newer.delay().id
        with watching(sidecar, task_id) as frames:
            seen = to_the_end(frames)
    assert words(seen) == ["queued", "error"]
    assert seen[-1]["data"]["error_type"] == "NotRegistered"
    assert "only.the.caller.has" in seen[-1]["data"]["error"]
    assert app.AsyncResult(task_id).state == "FAILURE"


def test_a_process_that_dies_with_its_operation(redis_url):
    with (
        SidecarProcess(redis_url, *LOST_AFTER) as sidecar,
        subprocess.Popen(
            [sys.executable, "-c", OWNER],
            env={
                **QUICK,
                "PYTHONPATH": str(Path(PROJECTS).parent.parent),
                "WSPROGRESS_URL": redis_url,
            },
            stdout=subprocess.PIPE,
            text=True,
        ) as owner,
    ):
        operation_id = owner.stdout.readline().strip()
        with watching(sidecar, operation_id) as frames:
            until(frames, "progress")
            owner.send_signal(signal.SIGKILL)
            end = to_the_end(frames)[-1]
    assert (end["event_type"], end["data"]["error_type"]) == ("error", "OwnerLost")


OWNER = """
import sys, time
from celery_wsprogress import operation
with operation("import") as op:
    op.update_progress(0.5, "half of it")
    print(op.operation_id, flush=True)
    time.sleep(600)
"""


def test_an_id_nobody_has_heard_of_is_asked_for(redis_url, app):
    known, unknown = str(uuid.uuid4()), str(uuid.uuid4())
    app.backend.store_result(known, {"rows": 7}, states.SUCCESS)
    more = ("--result-backend", redis_url, "--answer-unknown")
    with SidecarProcess(redis_url, *more) as sidecar:
        with watching(sidecar, known) as frames:
            seen = to_the_end(frames)
        with connect(sidecar.url + f"/ws/{unknown}", compression=None) as websocket:
            websocket.recv()
            assert json.loads(websocket.recv())["operation"] is None
            # And a second sidecar knows it from the log, without asking anybody.
        with SidecarProcess(redis_url) as other, watching(other, known) as frames:
            again = to_the_end(frames)
    assert words(seen) == ["result", "completed"]
    assert seen[0]["data"]["result"] == {"rows": 7}
    assert [frame["event_id"] for frame in again] == [frame["event_id"] for frame in seen]


def test_a_sidecar_that_was_away_gives_everyone_time(redis_url, app, worker):
    """It is not the worker that was silent while nobody listened."""
    task_id = app.send_task("life.sleeps", [4.0]).id
    with SidecarProcess(redis_url, *LOST_AFTER) as sidecar:
        with watching(sidecar, task_id) as frames:
            until(frames, "progress")
        sidecar.kill()
        eventually(lambda: app.AsyncResult(task_id).ready(), what="the task to end unwatched")
        sidecar.start()
        with watching(sidecar, task_id) as frames:
            assert words(to_the_end(frames))[-2:] == ["result", "completed"]
