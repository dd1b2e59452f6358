"""Flower shows progress: the real one, over HTTP and in Chromium, beside a real worker."""

from __future__ import annotations

import importlib
import json
import uuid

import pytest
from celery.events import state as celery_state
from hypothesis import given
from hypothesis import strategies as st
from support.conditions import eventually
from support.flower import Flower
from support.workers import Worker

from celery_wsprogress.contrib.flower import keep_progress, show_progress, with_column
from celery_wsprogress.errors import ConfigurationError

DASHBOARD = "https://progress.example.org/live"
CONFIGURATION = f"""
from celery_wsprogress.contrib.flower import show_progress

show_progress(dashboard_url="{DASHBOARD}/")
"""


@pytest.fixture(scope="module")
def life(redis_server):
    """The project ``life``, for callers, on the shared Redis."""
    redis_server.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROKER_URL", redis_server.url)
        patch.setenv("RESULT_BACKEND", redis_server.url)
        return importlib.import_module("life")


@pytest.fixture(scope="module")
def flower(life, redis_server):
    """A Flower, and a worker that sends events, for all tests of this module."""
    url = redis_server.url
    mirrored = {"WSPROGRESS_FLOWER": "true"}
    how = {"options": ("--task-events",), "environment": mirrored}
    with (
        Flower(url, CONFIGURATION) as flower,
        Worker("life", broker=url, backend=url, **how),
    ):
        # A worker takes tasks before it listens to commands.
        eventually(lambda: life.app.control.ping(timeout=1.0))
        yield flower


@pytest.fixture
def gate(tmp_path):
    """A file that does not exist; the tasks that wait for it end with the test."""
    yield tmp_path / "gate"
    (tmp_path / "gate").touch()


def wait_for(flower, task_id, **fields):
    """Return what Flower has of a task, as soon as it has these values."""

    def seen():
        found = flower.task(task_id)
        return found if fields.items() <= found.items() else None

    return eventually(seen, what=f"{fields} of {task_id} in Flower")


def without(names, fields):
    return {name: value for name, value in fields.items() if name not in names}


def send_late(app, flower, task_id, worker):
    """Send progress of a task that is over, by hand, and wait until Flower has taken it."""
    last = str(uuid.uuid4())
    with app.events.default_dispatcher(hostname=worker) as dispatcher:
        for one in (task_id, last):
            dispatcher.send("task-progress", uuid=one, progress="40% (4/10 rows)")
    # Flower takes events in the order in which they were sent.
    wait_for(flower, last, progress="40% (4/10 rows)", state="STARTED")


@pytest.mark.redis
def test_the_api_the_table_and_the_page_show_progress(flower, life, gate):
    task_id = life.reports.delay(str(gate)).id
    found = wait_for(flower, task_id, progress="30% (3/10 rows)")
    assert found["state"] == "STARTED"
    tasks = json.loads(flower.page("/api/tasks"))
    assert tasks[task_id]["progress"] == "30% (3/10 rows)"

    assert 'data-column="progress"' in flower.page("/tasks")
    query = {"draw": 1, "start": 0, "length": 100, "order[0][column]": 0}
    rows = json.loads(flower.page("/tasks/datatable", **query))["data"]
    assert {row["uuid"]: row["progress"] for row in rows}[task_id] == "30% (3/10 rows)"

    page = flower.page(f"/task/{task_id}")
    assert "<dt>Progress</dt>" in page
    assert "30% (3/10 rows)" in page
    assert f'href="{DASHBOARD}/#/operation/{task_id}"' in page


@pytest.mark.redis
def test_a_task_that_succeeded_stays_so_whatever_comes_late(flower, life, gate):
    task_id = life.reports.delay(str(gate)).id
    wait_for(flower, task_id, progress="30% (3/10 rows)")
    gate.touch()
    over = wait_for(flower, task_id, state="SUCCESS", progress="100%")
    send_late(life.app, flower, task_id, over["worker"])
    assert flower.task(task_id) == over


@pytest.mark.redis
def test_a_task_that_was_revoked_stays_so_whatever_comes_late(flower, life):
    result = life.sleeps.delay(600)
    wait_for(flower, result.id, progress="50%")
    result.revoke(terminate=True)
    over = wait_for(flower, result.id, state="REVOKED", progress="50%")
    send_late(life.app, flower, result.id, over["worker"])
    # Celery announces it again when the process of the task is gone.
    times = {"clock", "revoked", "timestamp"}
    assert without(times, flower.task(result.id)) == without(times, over)


@pytest.mark.redis
@pytest.mark.browser
def test_a_browser_shows_the_column_and_the_link(flower, life, gate, browser):
    from playwright.sync_api import expect

    task_id = life.reports.delay(str(gate)).id
    wait_for(flower, task_id, progress="30% (3/10 rows)")
    page = browser.new_page()
    page.goto(f"{flower.url}/tasks")
    expect(page.locator("#tasks-table th", has_text="Progress")).to_have_count(1)
    row = page.locator("#tasks-table tbody tr", has_text=task_id)
    expect(row).to_contain_text("30% (3/10 rows)")
    page.goto(f"{flower.url}/task/{task_id}")
    link = page.get_by_role("link", name="Live progress")
    expect(link).to_have_attribute("href", f"{DASHBOARD}/#/operation/{task_id}")
    page.close()


def record_of_tasks():
    """A record like Celery's, changed as Flower's is; the one of this process stays as it was."""

    class Record(celery_state.Task):
        pass

    keep_progress(Record)
    return Record


KINDS = ["sent", "received", "started", "succeeded", "failed", "retried", "revoked", "rejected"]


def play(record, kinds, leave_out=None):
    """Return a task that had events of these kinds, one a second."""
    task = record(uuid="one")
    for second, kind in enumerate(kinds):
        fields = {"progress": f"{second}%"} if kind == "progress" else {"clock": second}
        if kind != leave_out:
            task.event(kind, float(second), None, fields)
    return task


@given(st.lists(st.sampled_from([*KINDS, "progress"])))
def test_progress_changes_nothing_else_of_a_task_that_is_known(kinds):
    found = play(record_of_tasks(), ["received", *kinds])
    expected = play(celery_state.Task, ["received", *kinds], leave_out="progress")
    assert found.as_dict() == {**expected.as_dict(), "progress": found.progress}


@pytest.mark.parametrize(
    ("kinds", "progress"),
    [
        (["received", "started", "progress", "progress"], "3%"),
        (["received", "started", "progress", "succeeded", "progress"], "100%"),
        (["received", "started", "succeeded", "progress"], None),
        (["received", "started", "progress", "failed", "progress"], "2%"),
        (["received", "started", "progress", "revoked", "progress"], "2%"),
        (["received", "started", "progress", "retried", "received", "started", "progress"], "6%"),
    ],
)
def test_progress_is_that_of_the_run_that_goes_on(kinds, progress):
    assert play(record_of_tasks(), kinds).progress == progress


@pytest.mark.parametrize("end", ["retried", "rejected"])
def test_progress_of_a_run_before_the_last_one_is_late(end):
    task = play(record_of_tasks(), ["received", "started", "progress", end, "received"])
    state = task.state
    task.event("progress", 2.5, None, {"progress": "99%"})
    assert (task.state, task.progress) == (state, "2%")


def test_a_task_that_flower_did_not_see_begin_is_shown_as_started():
    task = play(record_of_tasks(), ["progress"])
    assert (task.state, task.progress, task.timestamp) == ("STARTED", "0%", 0.0)
    assert task.started is None


def test_a_record_is_changed_once():
    record = record_of_tasks()
    changed = record.event
    keep_progress(record)
    assert record.event is changed
    assert record._fields.count("progress") == 1


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("name,uuid,state,received", "name,uuid,state,progress,received"),
        ("name, state", "name,state,progress"),
        ("uuid", "uuid,progress"),
        ("progress,uuid", "progress,uuid"),
    ],
)
def test_the_column_stands_behind_the_state(columns, expected):
    assert with_column(columns) == expected


def test_a_url_that_is_none_of_a_page_is_refused_without_being_shown():
    with pytest.raises(ConfigurationError, match=r"dashboard_url is '.hidden.'") as refused:
        show_progress(dashboard_url="https://me:secret@progress.example.org")
    assert "secret" not in str(refused.value)
