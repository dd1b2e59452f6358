from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from celery import Celery

from celery_wsprogress import StreamingTask
from celery_wsprogress.worker import apps


def nothing():
    pass


def ran():
    return "ran"


def test_threads_that_publish_at_once_share_one_publisher(monkeypatch):
    app = Celery("t", broker="memory://")
    both = Barrier(2, timeout=10)
    open_publisher = apps.open_publisher
    monkeypatch.setattr(
        apps, "open_publisher", lambda *arguments: (both.wait(), open_publisher(*arguments))[1]
    )
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
    ("conf", "words"),
    [
        ({"broker_url": "redis://localhost/abc"}, "database number"),
        ({"wsprogress_url": "redis://localhost:99999/0"}, "broker URL"),
        ({"wsprogress_url": "redis://:hunter2@localhost/0?foo=bar"}, "broker URL"),
        ({"wsprogress_url": "rediss://localhost/-1"}, "database number"),
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
