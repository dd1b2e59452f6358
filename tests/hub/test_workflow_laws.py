"""Laws of workflows: random canvases with random failures, against a model of Celery's rules."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from support.canvases import Running, canvases
from support.sample_events import (
    completed,
    error,
    lost,
    plan,
    progress,
    queued,
    stalled,
    status,
)
from support.workflow_logs import WorkflowLog, write_life

from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.store import RECORD_BYTES, Limits, OperationStore

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


IDS = ["a", "b", "c", "g"]
nodes = st.tuples(
    st.sampled_from(["task", "chain", "group"]),
    st.integers(-1, 6),
    st.sampled_from(["", *IDS]),
    st.sampled_from(["tasks.a", "tasks.b"]),
)
plans = st.builds(
    lambda parts, held, first, more: plan(*parts, held=held, first=first, **more),
    st.lists(nodes, min_size=1, max_size=5),
    st.sampled_from(IDS),
    st.integers(0, 6),
    st.fixed_dictionaries(
        {}, optional={"parent_id": st.sampled_from(IDS), "tasks": st.integers(0, 9)}
    ),
)
task_events = st.builds(
    lambda make, task_id, run, more: make(operation_id=task_id, run=run, **more),
    st.sampled_from(
        [
            lambda run, **more: status("started", run=run, publication=run, metadata={}, **more),
            lambda run, **more: progress(0.5, run=run, **more),
            completed,
            lambda run, **more: completed(run=run, ignored=True, **more),
            error,
            lambda run, **more: error(run=run, status="cancelled", **more),
            lambda run, operation_id: lost(run=run, operation_id=operation_id),
            lambda run, operation_id: stalled(run=run, operation_id=operation_id),
            lambda run, **more: status("retrying", run=run, publication="", **more),
            lambda run, **more: queued(publication=run, group_id="g", parent_id="a", **more),
        ]
    ),
    st.sampled_from(IDS),
    st.sampled_from(["r1", "r2"]),
    st.just({}),
)


@given(st.lists(st.one_of(plans, task_events), max_size=30), st.integers(0, 3))
def test_whatever_is_written_is_folded_and_counted(events, max_finished):
    log = WorkflowLog(Hub(OperationStore(Limits(max_finished=max_finished)), progress_interval=0.1))
    hub = log.hub
    for at, event in enumerate(events):
        log.write(event, now=100.0 + at / 20)
        hub.flush_due(100.0 + at / 20)
    records = hub.store.oldest_first()
    for record in records:
        snapshot = record.snapshot()
        assert 0.0 <= snapshot["progress"] <= 1.0
        ids = [one["event_id"] for one in log.events(record.operation_id)]
        assert len(set(ids)) == len(ids)
        assert set(snapshot.get("workflow_ids", ())) == {
            one.workflow.id
            for one in record.places
            if hub.workflows.get(f"workflow:{one.workflow.id}")
        }
    assert hub.store.history_bytes == sum(
        one.history.size + one.counted_size + one.plan_size + RECORD_BYTES for one in records
    )
    hub.store.expire(1e9)
    assert len(hub.store) == 0
    assert hub.store.history_bytes == 0
    for one in IDS:
        assert hub.workflows.get(f"workflow:{one}") is None
