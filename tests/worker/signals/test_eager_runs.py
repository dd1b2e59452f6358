"""Tasks that are run eagerly are watched as others are, except in tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import celery
import pytest
from celery import Celery
from support.event_log import LogReader, end_of, in_task, spoken, word

from celery_wsprogress import StreamingTask
from celery_wsprogress.protocol.events import Log, Progress, Status
from celery_wsprogress.protocol.jsonable import WITHHELD
from celery_wsprogress.worker import apps
from celery_wsprogress.worker.signals import eager_runs

PROJECTS = Path(__file__).parents[2] / "projects"
LIFE = ["started", "result", "completed"]


def run(url, *arguments, **environ):
    program = [sys.executable, PROJECTS / "eagerly.py", url, *arguments]
    ran = subprocess.run(program, capture_output=True, text=True, env=environ, check=False)
    assert ran.returncode == 0, ran.stderr
    return {line.split()[0]: line.split()[1:] for line in ran.stdout.splitlines()}


@pytest.fixture(scope="module")
def results(redis_server):
    redis_server.clear()
    return run(redis_server.url)


@pytest.fixture
def log(redis_server):
    return LogReader(redis_server.url)


@pytest.mark.parametrize(
    ("name", "state", "words"),
    [
        ("success", "SUCCESS", LIFE),
        ("by-apply", None, LIFE),
        ("failure", "FAILURE", ["started", "error"]),
        ("retry", "SUCCESS", ["started", "retrying", *LIFE]),
        ("exhausted", "FAILURE", ["started", "retrying", "started", "error"]),
        ("kept", "FAILURE", ["started", "retrying", "started", "error"]),
        ("ignore", "IGNORED", ["started", "completed"]),
        ("map", "SUCCESS", LIFE),
        ("inner-1", None, LIFE),
    ],
)
def test_it_ends_as_its_result_says(results, log, name, state, words):
    assert results.get(name, [None])[0] == state
    assert spoken(log.events(name)) == words
    ends = {"SUCCESS": "completed", "FAILURE": "error", "IGNORED": "completed"}
    assert log.ends_watched(name) == [ends.get(state, "completed")]


def test_its_errors_keep_their_texts_as_they_do_elsewhere(results, log):
    [retrying] = [one.data for one in log.events("kept") if word(one) == "retrying"]
    assert retrying.message == "OSError"
    end = end_of(log.events("kept"))
    assert (end.error, end.error_type) == (WITHHELD, "OSError")


def test_its_headers_and_progress_are_there(results, log):
    events = log.events("success")
    [started] = [event for event in events if isinstance(event, Status)]
    assert (started.data.tags, started.data.metadata) == (["nightly"], {"a": 1})
    assert [e.data.message for e in events if isinstance(e, Progress)] == ["half"]
    last = [e.data for e in log.events("map") if isinstance(e, Progress)][-1]
    assert (last.current, last.total) == (3, 3)


def test_one_inside_another_speaks_for_itself(results, log):
    lines = [event.data.message for event in log.events("nested") if isinstance(event, Log)]
    assert lines == ["before", "after"]
    assert in_task(log.events("nested")) == ["started", "log", "log", "result", "completed"]
    [started] = [event for event in log.events("inner-1") if isinstance(event, Status)]
    if celery.VERSION >= (5, 6):  # Before, Celery does not say it of an eager task.
        assert (started.data.parent_id, started.data.root_id) == ("nested", "nested")


def test_steps_of_a_chain_and_a_group(results, log):
    for task_id in (*results["chained"], *results["grouped"]):
        assert spoken(log.events(task_id)) == LIFE
    assert results["plain"] == ["SUCCESS"]


def test_where_errors_go_on_to_the_caller_they_are_told_as_well(redis_url):
    log, results = LogReader(redis_url), run(redis_url, "propagate")
    assert results["failure"] == ["ValueError"]
    assert (end_of(log.events("failure")).error, results["exit"]) == (
        "broken",
        ["KeyboardInterrupt"],
    )
    assert end_of(log.events("exit")).status == "cancelled"
    assert log.ends_watched("success") == ["completed"]
    # Nothing is tried again, and what `Retry` says goes on to the caller.
    assert (end_of(log.events("kept")).error, results["kept"]) == (WITHHELD, ["Retry"])


def test_it_can_be_switched_off(redis_url):
    assert run(redis_url, WSPROGRESS_EAGER="false")["success"] == ["SUCCESS"]
    assert LogReader(redis_url).batches() == []


def test_not_in_tests_unless_it_is_said(monkeypatch):
    app = Celery("e", broker="memory://", set_as_current=False)
    app.task(lambda: None, base=StreamingTask, name="e.one", shared=False)
    publishing = apps.publishing_of(app)
    assert eager_runs.runs_in_tests()
    assert not publishing.publishes_eager
    for runner, there in (("django.test.runner", True), ("nothing.of.the.kind", False)):
        with monkeypatch.context() as patch:
            patch.delitem(sys.modules, "pytest")
            patch.setitem(sys.modules, runner, sys)
            assert eager_runs.runs_in_tests() is there


def test_not_under_unittest_either(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import unittest\n"
        "from celery_wsprogress.worker.signals import eager_runs\n"
        "class It(unittest.TestCase):\n"
        "    def test_it(self):\n"
        "        assert eager_runs.runs_in_tests()\n"
    )
    command = [sys.executable, "-m", "unittest", "test_it"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def test_a_process_vouches_for_its_eager_runs_while_they_go_on():
    app = Celery("v", broker="memory://", set_as_current=False)
    app.conf.wsprogress_eager = True
    seen = []

    @app.task(base=StreamingTask, shared=False)
    def looks(self):
        witness = apps.publishing_of(app).publisher.heartbeat_source
        seen.append([one.operation_id for one in witness()])

    looks.apply(task_id="eager-1")
    assert seen == [["eager-1"]]
    assert apps.publishing_of(app).publisher.heartbeat_source() is None
