"""A worker dies as a whole, and the broker gives its messages to the next one."""

from __future__ import annotations

import time

import pytest
from celery import Celery
from support.conditions import eventually
from support.event_log import in_task, spoken
from support.workers import Worker


@pytest.mark.parametrize("broker", ["redis_server", "rabbitmq_server"])
def test_the_next_run_says_by_beginning_that_the_first_one_is_over(
    request, redis_server, log, tmp_path, broker
):
    gate, url = tmp_path / "gate", request.getfixturevalue(broker).url
    worker = Worker(
        "life",
        broker=url,
        backend=redis_server.url,
        options=("-Q", broker),
        environment={
            "WSPROGRESS_URL": redis_server.url,
            "WSPROGRESS_SIGN_INTERVAL": "0.1",
            "VISIBILITY_TIMEOUT": "2",
        },
    )
    with worker, Celery("caller", broker=url) as caller:
        task_id = caller.send_task("life.waits_late", (str(gate),), queue=broker).id
        first = log.wait_for_sign(task_id)
        eventually(lambda: "started" in spoken(log.runs(task_id)[0]))
        worker.kill()
        gate.touch()
        # Kombu before 5.7 looks for what is late when it starts, and then once in minutes.
        late_at = time.monotonic() + 2.5
        eventually(lambda: time.monotonic() > late_at)
        worker.start()
        log.wait_for_end(task_id)
    runs = log.runs(task_id)
    assert runs[0][0].run == first
    assert sorted(spoken(runs[0])) == ["received", "started"]
    assert in_task(runs[1]) == ["started", "completed"]
    # `queued` is of no run.
    shown = [frame["run"] for frame in log.frames(task_id) if "run" in frame]
    assert first in shown
    assert shown == sorted(shown, key=lambda run: run != first)
    assert log.ends_watched(task_id) == ["completed"]
    began = next(n for n, b in enumerate(log.batches()) if runs[1][0] in b.events)
    assert not [b for b in log.batches()[began:] if (task_id, first) in b.alive]
