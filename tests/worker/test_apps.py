from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from celery import Celery

from celery_wsprogress import brokers
from celery_wsprogress.worker import apps


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
