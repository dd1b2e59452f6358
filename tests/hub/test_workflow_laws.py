"""Laws of workflows: random canvases with random failures, against a model of Celery's rules."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from support.canvases import Running, canvases
from support.sample_events import completed, plan, queued, status
from support.workflow_logs import WorkflowLog, write_life

from celery_wsprogress.hub.hub import Hub

STATES = {None: "running", True: "completed", False: "error"}


@given(canvases(), st.data())
def test_the_bar_tells_what_celery_does(canvas, data):
    tasks = [one.id for one in canvas.tasks]
    failing = set(data.draw(st.lists(st.sampled_from(tasks), max_size=3)))
    random = Random(data.draw(st.integers(0, 2**32)))
    log, operation_id = WorkflowLog(), f"workflow:{canvas.held}"
    progress_before = 0.0
    for running in write_life(log, canvas, failing, random.choice):
        snapshot = log.snapshot(operation_id)
        assert snapshot["state"] == STATES[running.outcome()]
        assert snapshot["progress"] >= progress_before
        assert snapshot["details"]["total"] == len(tasks)
        assert snapshot["details"]["completed"] == sum(running.ended.values())
        assert snapshot["details"]["failed"] == len(running.ended) - sum(running.ended.values())
        progress_before = snapshot["progress"]
    events = log.events(operation_id)
    ends = [one for one in events if one["event_type"] in {"completed", "error"}]
    assert len(ends) == 1
    assert ends == events[-1:]
    ids = [one["event_id"] for one in events]
    assert len(set(ids)) == len(ids)


@given(canvases(max_tasks=12), st.data())
def test_every_sidecar_says_the_same(canvas, data):
    seed = data.draw(st.integers(0, 2**32))

    def told():
        import random

        log = WorkflowLog(Hub())
        for _ in write_life(log, canvas, set(), random.Random(seed).choice):
            pass
        return log.events(f"workflow:{canvas.held}")

    assert told() == told()


@given(canvases(max_tasks=12), st.data())
def test_a_late_plan_leads_to_the_same_state(canvas, data):
    random = Random(data.draw(st.integers(0, 2**32)))
    early, late = WorkflowLog(), WorkflowLog()
    lives = []
    running = Running(canvas, set())
    while ready := running.ready():
        one = random.choice(ready)
        running.end(one)
        lives += [
            queued(operation_id=one, publication=f"p-{one}"),
            status("started", operation_id=one, run=f"run-{one}", publication=f"p-{one}"),
            completed(operation_id=one, run=f"run-{one}"),
        ]
    place = data.draw(st.integers(0, len(lives)))
    planned = plan(*canvas.plan_nodes(), held=canvas.held)
    early.write(planned, *lives)
    late.write(*lives[:place], planned, *lives[place:])
    shown = [log.snapshot(f"workflow:{canvas.held}") for log in (early, late)]
    for one in shown:
        # Who reported last is not known where the plan was read behind.
        del one["details"]["step"]
    for name in ("state", "details"):
        assert shown[0][name] == shown[1][name]
