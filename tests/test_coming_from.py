"""The pages for those who come from something else: their diffs, applied to projects that run."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from support.django_projects import DjangoProject

ROOT = Path(__file__).parents[1]
PROJECTS = Path(__file__).parent / "projects" / "coming_from"

#: The projects, with what a page of them asks for before the change.
POLLED = {"celery_progress": r"/celery-progress/[\w-]+/", "polling": r"/status/[\w-]+/"}

#: Everything in one process, where a test of its own would have three.
IN_MEMORY = """
CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS = {"polling_interval": 0.02}
CELERY_RESULT_BACKEND = "cache+memory://"
"""

SUBMIT = """
import json, re
from celery import current_app
from celery.contrib.testing.worker import start_worker
from celery.result import AsyncResult
from django.test import Client
from celery_wsprogress.testing import record_progress

client = Client()
app = current_app._get_current_object()
# It ends with the process.
worker = start_worker(app, pool="threads", concurrency=1, perform_ping_check=False)
worker.__enter__()
with record_progress() as recorded:
    page = client.post("/").content.decode()
    task_id = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", page)[0]
    answer = AsyncResult(task_id).get(timeout=300, interval=0.02)
result = [page, task_id, answer]
"""


def diff_of(name):
    page = ROOT / "docs" / "howto" / f"coming-from-{name.replace('_', '-')}.md"
    [diff] = re.findall(r"^```diff\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return diff


@pytest.fixture
def make_project(tmp_path):
    """Make a project in which nothing was changed; what it needs is there, or something like it."""
    made = []

    def make_project(name, diff=""):
        path = None if find_spec("celery_progress") else PROJECTS / "stand_in"
        project = DjangoProject(tmp_path / name, copied=PROJECTS / name, path=path)
        made.append(project)
        if diff:
            project.apply(diff)
        project.write({"shop/settings.py": IN_MEMORY})
        return project

    yield make_project
    for one in made:
        one.close()


@pytest.mark.parametrize("name", POLLED)
def test_before_the_change_the_page_polls(make_project, name):
    project = make_project(name)
    page, _, answer = project.run(SUBMIT)
    assert answer == "100 rows"
    polled = re.search(POLLED[name], page)[0]
    told = project.run(f"result = client.get({polled!r}).json()")
    assert told["state"] == "SUCCESS"
    assert project.run("result = len(recorded.progress)") == 0


@pytest.mark.parametrize("name", POLLED)
def test_after_the_change_the_page_is_told(make_project, name):
    project = make_project(name, diff_of(name))
    page, task_id, answer = project.run(SUBMIT)
    assert answer == "100 rows"
    assert f'<celery-progress task-id="{task_id}" url="ws://localhost:8765" label="Import">' in page
    assert not re.search(POLLED[name], page)
    told = project.run("result = recorded.of(task_id).progress")
    assert [(one["current"], one["total"]) for one in told] == [(row, 100) for row in range(1, 101)]
    checked = project.run("from django.core.checks import run_checks\nresult = len(run_checks())")
    assert checked == 0
