"""A worker whose clock is an hour off: nobody who watches its tasks notices."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from pathlib import Path

import pytest
from celery import Celery
from subscribed_client import to_the_end, until, watching
from support.conditions import eventually
from support.sidecars import SidecarProcess
from support.workers import Worker

QUICK = {"WSPROGRESS_SIGN_INTERVAL": "0.2"}

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)

pytestmark = pytest.mark.skipif(
    LIBRARY is None and os.environ.get("WSPROGRESS_FORBID_SKIPS") != "1", reason="needs faketime"
)


@pytest.mark.parametrize("off", ["-1h", "+1h"])
def test_a_worker_whose_clock_is_an_hour_off(redis_url, tmp_path, off):
    os.mkfifo(tmp_path / "fifo")
    lost_after = ("--lost-after", "2")
    with (
        Celery("caller", broker=redis_url, backend=redis_url, set_as_current=False) as app,
        Worker("life", broker=redis_url, environment=clock_of(off)) as worker,
        SidecarProcess(redis_url, *lost_after) as sidecar,
    ):
        began = time.time()
        ended = app.send_task("life.steps")
        # Python's own sleep fails with a clock that is made up.
        lost = app.send_task("life.reads", (str(tmp_path / "fifo"),))
        with watching(sidecar, ended.id) as frames:
            seen = to_the_end(frames)
        with watching(sidecar, lost.id) as frames:
            until(frames, "log")
            # The worker's main process writes when it can: maybe after the task's own process.
            eventually(lambda: shown_of(sidecar, lost.id)["received_at"])
            worker.kill()
            end = to_the_end(frames)[-1]
        assert end["data"]["error_type"] == "WorkerLost"
        eventually(lambda: shown_of(sidecar, ended.id)["received_at"])
        shown = [shown_of(sidecar, one.id) for one in (ended, lost)]
        took = time.time() - began
        sidecar.kill()
        sidecar.start()
        eventually(lambda: shown_of(sidecar, lost.id)["state"] == "error")
        assert [shown_of(sidecar, one.id) for one in (ended, lost)] == shown
    for one in shown:
        for moment in ("started_at", "received_at", "finished_at"):
            assert 0 <= one[moment] - began + 5 <= took + 10
        assert 0 <= one["duration"] <= took
    assert all(abs(frame["timestamp"] - began) < took + 5 for frame in seen)


@pytest.mark.rabbitmq
def test_so_it_is_where_the_broker_does_not_tell_the_time(rabbitmq_url, redis_url):
    """What a sidecar sees arrive it takes by its own clock."""
    with (
        Celery("caller", broker=rabbitmq_url, backend=redis_url, set_as_current=False) as app,
        Worker("life", broker=rabbitmq_url, backend=redis_url, environment=clock_of("-1h")),
        SidecarProcess(rabbitmq_url) as sidecar,
    ):

        def is_right():
            began = time.time()
            task = app.send_task("life.steps")
            with watching(sidecar, task.id) as frames:
                seen = to_the_end(frames)
            shown = shown_of(sidecar, task.id)
            took = time.time() - began
            moments = [shown[name] - began for name in ("started_at", "received_at", "finished_at")]
            return all(-5 <= one <= took + 5 for one in moments) and all(
                abs(frame["timestamp"] - began) < took + 5 for frame in seen
            )

        # On a busy machine the first batch of a process may be read without having waited for it,
        # and then says nothing of its clock.
        assert any(is_right() for _ in range(5))


def clock_of(off):
    return {
        **QUICK,
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME": off,
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def shown_of(sidecar, operation_id):
    with urllib.request.urlopen(f"{sidecar.http}/operations/{operation_id}", timeout=30) as reply:
        return json.load(reply)["operation"]
