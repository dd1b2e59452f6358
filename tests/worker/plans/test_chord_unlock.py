"""Chords of a result backend that cannot count: a task of Celery's own waits for the header."""

from __future__ import annotations

import pytest
from celery import chain, chord
from support.plans import plan_of, plans_in
from support.projects import load_project
from support.workers import Worker


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    return f"file://{tmp_path_factory.mktemp('results')}"


@pytest.fixture(scope="module")
def project(redis_server, backend):
    """The project, for callers, with such a backend."""
    return load_project("canvases", redis_server.url, backend)


@pytest.fixture(scope="module")
def worker(redis_server, backend, project):
    with Worker("canvases", broker=redis_server.url, backend=backend) as worker:
        yield worker


@pytest.mark.parametrize(
    "shape", ["chord", "chord of chains", "chord in a chord", "task, group, task"]
)
def test_the_tasks_of_a_chord_report(project, worker, log, shape):
    result = project.CANVASES[shape]().delay()
    plan = plan_of(log, result.id)
    for task_id in plan.task_ids:
        log.wait_for_end(task_id)
    assert len([one for one in plans_in(log) if one == f"workflow:{result.id}"]) == 1


def test_the_body_names_the_workflow(project, worker, log):
    canvas = chord(
        [project.followed.si(), project.plain.si()], chain(project.heard.si(), project.heard.si())
    )
    result = canvas.delay()
    expected = {"follow": True, "workflow": result.id}
    assert result.get(timeout=60) == expected
    [first, _] = [n.id for n in plan_of(log, result.id).nodes if n.name == project.heard.name]
    assert project.app.AsyncResult(first).get(timeout=60) == expected


def test_nothing_is_said_of_a_chord_of_which_nothing_is_followed(project, worker, log):
    before = set(plans_in(log))
    result = chord([project.plain.si(), project.plain.si()], project.unheard.si()).delay()
    assert result.get(timeout=60) == {}
    marker = project.followed.delay()
    log.wait_for_end(marker.id)
    assert set(plans_in(log)) == before
