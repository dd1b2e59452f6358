"""``start()``: what is sent is followed, and the caller holds what a page needs."""

from __future__ import annotations

import time

import pytest
from celery import chain, chord, group
from msgspec import UNSET
from support.asyncio_runner import run
from support.event_log import LogReader, result_of, word
from support.plans import all_events, plan_of, plans_in
from support.projects import load_project
from support.sidecars import SidecarProcess
from support.tokens import KEY, verifier
from support.workers import Worker

from celery_wsprogress import start
from celery_wsprogress.errors import ConfigurationError


@pytest.fixture(scope="module")
def project(redis_server):
    """The project ``canvases``, for callers."""
    project = load_project("canvases", redis_server.url, redis_server.url)
    project.app.set_current()
    return project


@pytest.fixture(scope="module")
def worker(redis_server, project):
    with Worker("canvases", broker=redis_server.url, backend=redis_server.url) as worker:
        yield worker


@pytest.fixture
def log(redis_server):
    return LogReader(redis_server.url)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.delenv("WSPROGRESS_KEY", raising=False)
    return monkeypatch


def first_status(log, task_id):
    log.wait_for_end(task_id)
    log.wait_for_words(task_id, "queued")
    [queued] = [e for e in log.events(task_id) if word(e) == "queued"]
    return queued.data


CANVASES = {
    "chain": lambda task: chain(task, task),
    "group": lambda task: group(task, task),
    "chord": lambda task: chord([task, task], task),
}


@pytest.mark.parametrize("kind", CANVASES)
def test_a_canvas_of_plain_tasks_is_followed(project, worker, log, kind):
    started = start(CANVASES[kind](project.plain.si()), metadata={"of": "me"}, tags=["import"])
    assert started.id == started.result.id
    assert started.is_workflow
    assert started.operation_id == f"workflow:{started.id}"
    assert started.token is None
    plan = plan_of(log, started.id)
    assert (plan.parts[0].metadata, plan.parts[0].tags) == ({"of": "me"}, ["import"])
    for task_id in plan.task_ids:
        log.wait_for_end(task_id)
        log.wait_for_words(task_id, "queued")
        [queued] = [e for e in log.events(task_id) if word(e) == "queued"]
        assert queued.data.metadata is UNSET


@pytest.mark.parametrize("form", ["signature", "task", "name"])
def test_a_plain_task_is_followed(project, worker, log, form):
    task = {
        "signature": lambda: project.plain.si(1, 2),
        "task": lambda: project.plain,
        "name": lambda: project.plain.name,
    }[form]()
    options = {} if form == "signature" else {"args": (1, 2)}
    started = start(task, metadata={"of": "me"}, tags="import", **options)
    assert not started.is_workflow
    assert started.operation_id == started.id == started.result.id
    said = first_status(log, started.id)
    assert (said.metadata, said.tags) == ({"of": "me"}, ["import"])
    assert result_of(log.events(started.id)).result == 2
    assert f"workflow:{started.id}" not in plans_in(log)


def test_the_name_of_a_task_that_this_process_does_not_know(project, log):
    started = start("elsewhere.task", queue="nobody")
    log.wait_for_words(started.id, "queued")


def test_values_of_the_message_are_kept_beside_those_of_start(project, worker, log):
    headers = {"wsprogress": {"metadata": {"a": 1}, "tags": ["b"]}, "own": "header"}
    started = start(project.plain.si(), tags=["c"], headers=headers)
    said = first_status(log, started.id)
    assert (said.metadata, said.tags) == ({"a": 1}, ["c"])


def test_only_what_is_started_is_followed(project, worker, log):
    start(project.plain.si()).result.get(timeout=120)
    other = project.unheard.delay()
    assert other.get(timeout=120) == {}
    log.wait_for_end(project.followed.delay().id)
    assert log.events(other.id) == []


def test_the_token_grants_this_and_nothing_else(project, environment):
    environment.setenv("WSPROGRESS_KEY", KEY)
    task = start(project.plain.si(), expires_in=90.0)
    workflow = start(chain(project.plain.si(), project.plain.si()))
    for started, lasting in ((task, 90.0), (workflow, 3_600.0)):
        grant = verifier(KEY).read(started.token, timestamp=time.time())
        granted = {(one.kind.value, one.value) for one in grant.patterns}
        workflows = {("workflow", started.id)} if started.is_workflow else set()
        assert granted == {("id", started.id), *workflows}
        assert abs(grant.expires_at - time.time() - lasting) < 60.0


def test_nothing_is_sent_where_no_token_can_be_made(project, environment, log):
    environment.setenv("WSPROGRESS_KEY", KEY)
    with pytest.raises(ConfigurationError, match="expires_in"):
        start(project.followed.si().set(task_id="never sent"), expires_in=-1)
    environment.setenv("WSPROGRESS_KEY", "short")
    with pytest.raises(ConfigurationError, match="key"):
        start(project.followed.si().set(task_id="never sent"))
    assert log.events("never sent") == []


def test_an_app_that_publishes_nothing_starts_it_all_the_same(project, environment):
    from celery import Celery

    app = Celery("off", broker="memory://", set_as_current=False)
    app.conf.wsprogress_enabled = False

    @app.task(shared=False)
    def task():
        pass

    started = start(chain(task.si(), task.si()))
    assert not started.is_workflow
    assert started.id == started.result.id


def test_an_eager_canvas_has_no_plan(project, log):
    project.app.conf.task_always_eager = True
    try:
        started = start(chain(project.plain.si(), project.plain.si()))
    finally:
        project.app.conf.task_always_eager = False
    assert started.result.get() == 0
    assert not started.is_workflow
    assert f"workflow:{started.id}" not in plans_in(log)


@pytest.mark.parametrize(
    "canvas",
    [
        lambda project: project.plain.si(),
        lambda project: chain(project.plain.si(), project.plain.si()),
        lambda project: group(project.plain.si(), project.plain.si()),
    ],
    ids=["task", "chain", "group"],
)
def test_its_events_can_be_watched(canvas, project, worker, redis_server, environment):
    environment.setenv("WSPROGRESS_KEY", KEY)
    with SidecarProcess(redis_server.url, environment={"WSPROGRESS_KEY": KEY}) as sidecar:
        environment.setenv("WSPROGRESS_WS_URL", sidecar.url)
        started = start(canvas(project))

        async def watched():
            return [event async for event in started.watch()]

        events = run(watched())
    assert {event["operation_id"] for event in events} == {started.operation_id}
    assert events[-1]["event_type"] == "completed"


def test_what_is_somebodys_is_said_in_the_log_only(project, worker, log):
    started = start(chain(project.plain.si(), project.plain.si()), sub="anna")
    plan_of(log, started.id)
    [plan] = [e for e in all_events(log) if e.operation_id == started.operation_id]
    assert plan.sub == "anna"
    single = start(project.plain.si(), sub="otto")
    log.wait_for_end(single.id)
    statuses = [e for e in log.events(single.id) if word(e) in {"received", "started"}]
    assert {one.sub for one in statuses} == {"otto"}
