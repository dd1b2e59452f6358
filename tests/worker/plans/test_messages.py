"""What a plan leaves as it is: the messages, and the moment at which a generator is read."""

from __future__ import annotations

import base64
import json
import uuid

import celery
import pytest
import redis
from celery import Celery, chain, chord, group, signals
from support.conditions import eventually
from support.plans import all_events, plan_of

from celery_wsprogress import StreamingTask
from celery_wsprogress.protocol.events import Plan
from celery_wsprogress.protocol.plans import MAX_PLAN_NODES


@pytest.fixture
def queue(redis_server):
    """The name of a queue that nobody reads, and a function that reads its messages."""
    client, name = redis.Redis.from_url(redis_server.url), f"queue-{uuid.uuid4()}"

    def messages():
        found = [json.loads(text) for text in client.lrange(name, 0, -1)[::-1]]
        return [(one["headers"], json.loads(base64.b64decode(one["body"]))) for one in found]

    yield name, messages
    client.delete(name)


@pytest.mark.parametrize("kind", ["chain", "group", "chord"])
@pytest.mark.parametrize("task", ["followed", "unheard"])
def test_headers_stamps_and_arguments_of_the_user_are_kept(project, queue, kind, task):
    name, messages = queue
    one = getattr(project, task).si(1, "two")
    canvas = {
        "chain": lambda: chain(one, one),
        "group": lambda: group(one, one),
        "chord": lambda: chord([one, one], one),
    }[kind]()
    canvas.stamp(customer="c1")
    canvas.apply_async(queue=name, headers={"own": {"a": 1}, "wsprogress": {"tags": ["t"]}})
    found = messages()
    assert len(found) == (1 if kind == "chain" else 2)
    for headers, (args, kwargs, _) in found:
        assert (args, kwargs) == ([1, "two"], {})
        assert headers["own"] == {"a": 1}
        assert headers["stamps"] == {"customer": "c1"}
        assert headers["stamped_headers"] == ["customer"]
        ours = headers["wsprogress"]
        assert ours["tags"] == ["t"]
        assert ("workflow" in ours) is (task == "followed")


def test_the_signatures_of_the_user_do_not_change(project, queue):
    name, _ = queue
    member = project.followed.si(1)
    inner = group(project.followed.si(), project.plain.si())
    last = group([project.plain.si()] * 2)
    if celery.VERSION < (5, 7):
        # Which gives ids to members in a list that is the user's (celery/canvas.py).
        last = group(project.plain.si(), project.plain.si())
    canvas = group([chain(member, inner, last)])
    before = json.dumps([canvas, member, inner])
    canvas.apply_async(queue=name)
    assert json.dumps([canvas, member, inner]) == before


def test_the_metadata_of_a_canvas_is_in_its_plan(project, queue, log):
    name, _ = queue
    headers = {"wsprogress": {"metadata": {"a": 1}, "tags": ["t"]}}
    for canvas in (
        chain(project.followed.si(), project.followed.si()),
        group(project.followed.si(), project.followed.si()),
        chord([project.followed.si(), project.followed.si()], project.plain.si()),
    ):
        result = canvas.apply_async(queue=name, headers=headers)
        first = plan_of(log, result.id).parts[0]
        assert (first.metadata, first.tags) == ({"a": 1}, ["t"])


def test_weights(project, queue, log):
    name, _ = queue
    heavy = project.followed.si().set(headers={"wsprogress": {"weight": 3}})
    for canvas in (chain(heavy, project.plain.si()), group(heavy, project.plain.si())):
        plan = plan_of(log, canvas.apply_async(queue=name).id)
        assert [one.weight for one in plan.nodes if one.kind == "task"] == [3.0, 1.0]


def test_a_large_group_is_read_as_it_is_sent(redis_server, log):
    """Its beginning is known first; the number of its tasks is, when the last one is sent."""
    # So many messages would take half a minute on a server.
    app = Celery("many", broker="memory://", backend="cache+memory://", set_as_current=False)
    app.conf.wsprogress_url = redis_server.url
    number, read, read_at_first = MAX_PLAN_NODES + 50, [], []

    @app.task(base=StreamingTask, shared=False)
    def one():
        pass

    def members():
        for n in range(number):
            read.append(n)
            yield one.si()

    def noticed(**_):
        if not read_at_first:
            read_at_first.append(len(read))

    signals.before_task_publish.connect(noticed)
    try:
        result = group(members(), app=app).apply_async()
    finally:
        signals.before_task_publish.disconnect(noticed)
    assert read_at_first[0] <= MAX_PLAN_NODES + 2
    parts = eventually(
        lambda: [
            found
            for event in all_events(log)
            if isinstance(event, Plan) and event.operation_id == f"workflow:{result.id}"
            for found in [event.data]
            if found.tasks == number
        ],
        what="the number of all tasks",
    )
    assert len(parts) == 1
    plan = plan_of(log, result.id)
    assert len(plan.nodes) == MAX_PLAN_NODES
    assert plan.parts[0].tasks == MAX_PLAN_NODES
    ids = [one.id for one in result.results]
    assert plan.task_ids == ids[: MAX_PLAN_NODES - 1]


def test_an_error_of_a_generator_is_the_callers(project, queue):
    name, messages = queue

    def members():
        yield project.followed.si()
        yield project.plain.si()
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        group(members()).apply_async(queue=name)
    # Celery reads one ahead.
    assert len(messages()) == 1


def test_a_message_that_the_worker_sends_again_keeps_its_workflow(project, queue):
    """As its main process does after the process of a task was lost (``retry_on_worker_lost``)."""
    name, messages = queue
    behind = project.plain.si()
    behind.freeze()
    ours = {"follow": True, "workflow": "that of the chord around it"}
    project.followed.apply_async(
        queue=name, retries=1, chain=[behind], headers={"wsprogress": ours}
    )
    [(headers, _)] = messages()
    assert headers["wsprogress"]["workflow"] == ours["workflow"]
