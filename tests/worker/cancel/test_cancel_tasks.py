from __future__ import annotations

import pytest
from celery import Celery
from support import asyncio_runner
from support.conditions import eventually
from support.ports import free_port
from support.workers import Worker

from celery_wsprogress import acancel, cancel


@pytest.fixture(scope="module")
def app(redis_server):
    app = Celery("caller", broker=redis_server.url, backend=redis_server.url, set_as_current=False)
    queue = "from-a-program"
    how = {"broker": redis_server.url, "backend": redis_server.url, "options": ("-Q", queue)}
    app.conf.task_default_queue = queue
    with Worker("ends", **how):
        yield app


def begun(app, log):
    task = app.send_task("ends.looks_whether_it_is_cancelled")
    log.wait_for_words(task.id, "log")
    return task


def test_a_program_cancels_a_task(app, log):
    task = begun(app, log)
    assert cancel(task.id, reason="wrong file", app=app)
    eventually(lambda: task.state == "REVOKED")
    [end] = log.ends(task.id)
    assert end.data.error.endswith(": wrong file")


def test_asynchronous_code_cancels_a_task(app, log):
    task = begun(app, log)
    assert asyncio_runner.run(acancel(task.id, app=app))
    eventually(lambda: task.state == "REVOKED")


def test_its_process_is_ended_if_that_is_wanted(app, log):
    task = app.send_task("ends.never_looks")
    log.wait_for_words(task.id, "log")
    assert cancel(task.id, terminate=True, app=app)
    eventually(lambda: task.state == "REVOKED")


@pytest.mark.parametrize("broker", ["redis://localhost:{port}/0", "sqla+sqlite:///{folder}/a.db"])
def test_a_broker_that_cannot_tell_the_workers_is_no_exception(tmp_path, caplog, broker):
    url = broker.format(port=free_port(), folder=tmp_path)
    app = Celery("nowhere", broker=url, set_as_current=False)
    assert not cancel("a", app=app)
    assert "cannot be cancelled" in caplog.text


@pytest.mark.parametrize("arguments", [(7,), ("a", False, 7), (None,)])
def test_what_is_no_id_and_no_reason(arguments):
    with pytest.raises(TypeError):
        cancel(*arguments)
