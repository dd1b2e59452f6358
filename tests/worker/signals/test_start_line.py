"""What a worker says of its events when it is ready."""

from __future__ import annotations

import uuid
from types import SimpleNamespace

import pytest
from celery import Celery
from support.conditions import eventually
from support.workers import Worker

from celery_wsprogress import StreamingTask, install
from celery_wsprogress.worker.signals import start_line

WORDS = "Task events are"


@pytest.fixture(autouse=True)
def no_shared_tasks(monkeypatch):
    """Every app of a process has the shared tasks of all others, and others are tested here."""
    monkeypatch.setattr("celery._state._on_app_finalizers", set())


@pytest.fixture
def line(caplog):
    """The lines of a worker of an app."""
    caplog.set_level("INFO", start_line.logger.name)

    def line_of(app):
        start_line.worker_ready(sender=SimpleNamespace(app=app, hostname=str(uuid.uuid4())))
        return caplog.records[-1].getMessage()

    return line_of


def app_with(*names, **conf):
    broker = "redis://:hunter2@127.0.0.1/3"
    app = Celery(f"start-{uuid.uuid4()}", broker=broker, set_as_current=False)
    app.conf.update(conf)

    def does_nothing(*_):
        pass

    for name in names:
        app.task(does_nothing, base=StreamingTask, name=name, shared=False)
    app.task(does_nothing, name="start.plain", shared=False)
    install(app)
    return app


def test_to_which_broker_and_for_which_tasks(line):
    assert line(app_with("start.two", "start.one", wsprogress_exchange="shop")) == (
        "Task events are on, to redis://:**@127.0.0.1/3, exchange shop, for 2 tasks: "
        "start.one, start.two"
    )


def test_for_all_tasks(line):
    said = line(app_with("start.all_one", wsprogress_tasks="all"))
    assert "start.all_one" in said
    assert "start.plain" in said
    assert "celery." not in said


def test_of_many_some_are_named(line):
    said = line(app_with(*(f"start.many_{number}" for number in range(7))))
    assert said.endswith(
        "for 7 tasks: start.many_0, start.many_1, start.many_2, start.many_3, start.many_4 "
        "and 2 more"
    )


def test_one_without_such_tasks_says_what_to_do(line):
    assert line(app_with()).endswith(
        "no task of this worker sends any: say @app.task(base=StreamingTask), or set "
        "wsprogress_tasks"
    )


def test_switched_off(line):
    said = line(app_with("start.off", wsprogress_enabled=False))
    assert said == "Task events are off (wsprogress_enabled)"


def test_once_in_a_worker_however_often_it_is_ready(caplog):
    caplog.set_level("INFO", start_line.logger.name)
    consumer = SimpleNamespace(app=app_with("start.again"), hostname=str(uuid.uuid4()))
    start_line.worker_ready(sender=consumer)
    start_line.worker_ready(sender=consumer)
    assert caplog.text.count(WORDS) == 1


def test_a_real_worker(redis_url):
    with Worker("checked", broker=redis_url, pool="solo", concurrency=1) as worker:
        said = f"Task events are on, to {redis_url}, exchange celery_wsprogress, for one task"
        eventually(lambda: f"{said}: checked.followed" in worker.log)
        assert worker.log.count(WORDS) == 1
