"""A sidecar for clients, and a writer of its log."""

from __future__ import annotations

import pytest
from support.event_log import log_writer
from support.sidecars import SidecarThread

from celery_wsprogress.brokers import BrokerAddress


@pytest.fixture
def served(redis_url):
    with SidecarThread(BrokerAddress(redis_url)) as sidecar:
        yield sidecar


@pytest.fixture
def write(redis_url):
    with log_writer(redis_url) as write:
        yield write
