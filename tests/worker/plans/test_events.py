"""The parts of a plan."""

from __future__ import annotations

from support.plans import joined

from celery_wsprogress.protocol.batches import decode_event
from celery_wsprogress.protocol.jsonable import MAX_EVENT_BYTES
from celery_wsprogress.protocol.plans import MAX_PART_NODES, PlanNode
from celery_wsprogress.worker.plans.events import PlanHead, encode_count, encode_plan

HEAD = PlanHead(
    workflow_id="w", operation_type="celery.group", metadata={"a": "x" * 7_000}, tags=("t",)
)


def parts_of(events):
    assert all(len(event.event) <= MAX_EVENT_BYTES for event in events)
    assert {event.run.operation_id for event in events} == {"workflow:w"}
    return [decode_event(event.event).data for event in events]


def test_a_plan_is_divided_into_parts():
    nodes = [PlanNode("group", -1), *(PlanNode("task", 0, f"{n:036}", "t") for n in range(999))]
    parts = parts_of(encode_plan(HEAD, 1.0, nodes, 1_500))
    assert len(parts) == 1_000 / MAX_PART_NODES
    assert joined(parts).nodes == nodes
    assert (parts[0].tasks, parts[0].metadata, parts[0].tags) == (1_500, HEAD.metadata, ["t"])


def test_parts_with_long_ids_and_names_fit_into_a_batch():
    nodes = [PlanNode("task", -1, "\0" * 900 + f"{n}", "t" * 500) for n in range(50)]
    parts = parts_of(encode_plan(HEAD, 1.0, nodes, 50))
    assert joined(parts).nodes == nodes
    assert [part.tasks for part in parts if part.tasks] == [50]


def test_the_number_of_tasks_comes_later_where_it_was_not_known():
    [part] = parts_of([encode_count(HEAD, 1.0, 10, 20)])
    assert (part.first, part.nodes, part.tasks) == (10, [], 20)
