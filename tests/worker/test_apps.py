from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from celery import Celery

from celery_wsprogress import StreamingTask, brokers
from celery_wsprogress.worker import apps


def nothing():
    pass


def test_threads_that_publish_at_once_share_one_publisher(monkeypatch):
    app = Celery("t", broker="memory://")
    both = Barrier(2, timeout=10)
    monkeypatch.setattr(brokers, "_module_of", lambda _: both.wait())
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: apps.reporting_of(app).publisher, range(2))
    assert one is other is apps.reporting_of(app).publisher


def test_threads_that_ask_at_once_get_the_same_settings(monkeypatch):
    app = Celery("t", broker="memory://")
    both = Barrier(2, timeout=10)
    read = apps.read_settings
    monkeypatch.setattr(apps, "read_settings", lambda app: (both.wait(), read(app))[1])
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: apps.reporting_of(app), range(2))
    assert one is other


@pytest.mark.parametrize(
    ("setting", "own", "leaves"),
    [(True, None, True), (False, None, False), (True, False, False), (False, True, True)],
)
def test_a_tasks_own_word_on_its_result_wins(setting, own, leaves):
    app = Celery("t", broker="memory://")
    app.conf.wsprogress_stream_result = setting
    task = app.task(nothing, base=StreamingTask, name="demo", shared=False, stream_result=own)
    assert apps.reporting_of(app).streams_result(task) is leaves


def test_a_plain_task_has_no_word_of_its_own():
    app = Celery("t", broker="memory://")
    task = app.task(nothing, name="plain", shared=False)
    assert apps.reporting_of(app).streams_result(task) is True
