from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from celery import Celery

from celery_wsprogress import StreamingTask, brokers
from celery_wsprogress.worker import apps


def nothing():
    pass


def ran():
    return "ran"


def test_threads_that_publish_at_once_share_one_publisher(monkeypatch):
    app = Celery("t", broker="memory://")
    both = Barrier(2, timeout=10)
    monkeypatch.setattr(brokers, "_module_of", lambda _: both.wait())
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: apps.publishing_of(app).publisher, range(2))
    assert one is other is apps.publishing_of(app).publisher


def test_threads_that_ask_at_once_get_the_same_settings(monkeypatch):
    app = Celery("t", broker="memory://")
    both = Barrier(2, timeout=10)
    read = apps.read_settings
    monkeypatch.setattr(apps, "read_settings", lambda app: (both.wait(), read(app))[1])
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: apps.publishing_of(app), range(2))
    assert one is other


@pytest.mark.parametrize(
    ("setting", "own", "leaves"),
    [(True, None, True), (False, None, False), (True, False, False), (False, True, True)],
)
def test_a_tasks_own_word_on_its_result_wins(setting, own, leaves):
    app = Celery("t", broker="memory://")
    app.conf.wsprogress_stream_result = setting
    task = app.task(nothing, base=StreamingTask, name="demo", shared=False, stream_result=own)
    assert apps.publishing_of(app).streams_result(task) is leaves


@pytest.mark.parametrize(
    ("conf", "own", "leave"),
    [
        ({}, {}, True),
        ({}, {"stream_result": False}, False),
        ({"stream_result": False}, {}, False),
        ({"stream_result": False}, {"stream_result": True}, True),
        ({"stream_errors": "type"}, {}, False),
        ({"stream_errors": "type"}, {"stream_errors": "full"}, True),
        ({"stream_errors": "full"}, {"stream_result": False}, True),
        ({"stream_errors": "full"}, {"stream_errors": "type"}, False),
        ({}, {"stream_errors": "full", "stream_result": False}, True),
        ({}, {"stream_errors": " Type "}, False),
    ],
)
def test_what_leaves_of_errors(conf, own, leave):
    app = Celery("t", broker="memory://")
    app.conf.update({f"wsprogress_{name}": value for name, value in conf.items()})
    task = app.task(nothing, base=StreamingTask, name="demo", shared=False, **own)
    assert apps.streams_errors(task, {}) is leave
    # The word of whatever it stands for goes first.
    assert not apps.streams_errors(task, {"withhold_errors": True})


@pytest.mark.parametrize("own", ["none", "", False, 7, ["type"]])
def test_a_word_of_a_task_that_means_nothing_keeps_its_errors_in_and_is_said(caplog, own):
    app = Celery("t", broker="memory://")
    apps._warn_once.cache_clear()
    task = app.task(nothing, base=StreamingTask, name="demo", shared=False, stream_errors=own)
    assert apps.streams_errors(task, {}) is False
    assert apps.streams_errors(task, {}) is False
    [sentence] = [record.getMessage() for record in caplog.records]
    assert sentence.startswith("stream_errors of the task demo is ")
    assert "must be 'full' or 'type'" in sentence


def test_a_plain_task_has_no_word_of_its_own():
    app = Celery("t", broker="memory://")
    task = app.task(nothing, name="plain", shared=False)
    assert apps.publishing_of(app).streams_result(task) is True


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({"broker_url": "redis://localhost/abc"}, "number of a database"),
        ({"wsprogress_url": "redis://localhost:99999/0"}, "broker URL"),
        ({"wsprogress_url": "redis://:hunter2@localhost/0?foo=bar"}, "broker URL"),
        ({"wsprogress_url": "rediss://localhost/-1"}, "number of a database"),
        ({"wsprogress_progress_interval": "5s"}, "seconds from 0 to 60"),
        ({"wsprogress_buffer_bytes": b"1000000"}, "bytes from"),
    ],
)
def test_what_can_never_work_is_said_once_and_the_task_runs(caplog, conf, words):
    app = Celery("t", broker="memory://", set_as_current=False)
    app.conf.update(conf)
    task = app.task(ran, base=StreamingTask, name="never", shared=False)
    assert task.apply().get() == task.apply().get() == "ran"
    publishing = apps.publishing_of(app)
    assert not publishing.publishes("never", streaming=True, header={})
    [said] = [one for one in caplog.messages if "switched off" in one]
    assert words in said
    assert "hunter2" not in caplog.text


def test_names_that_nobody_reads_are_said_once(caplog, monkeypatch):
    monkeypatch.setenv("WSPROGRESS_TASK", "all")
    for _ in range(2):
        app = Celery("t", broker="memory://", set_as_current=False)
        app.conf.wsprogress_stream_results = False
        apps.publishing_of(app)
    said = [one for one in caplog.messages if "is no setting" in one]
    assert sorted(one.rpartition("was ")[2] for one in said) == [
        "WSPROGRESS_TASKS meant?",
        "wsprogress_stream_result meant?",
    ]
