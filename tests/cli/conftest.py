"""A sidecar on Redis, and a way to write to its log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.event_log import log_writer
from support.sidecars import SidecarThread
from support.time_zones import in_zone

from celery_wsprogress.brokers import BrokerAddress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def served(redis_url: str) -> Iterator[SidecarThread]:
    with SidecarThread(BrokerAddress(redis_url)) as sidecar:
        yield sidecar


@pytest.fixture
def write(redis_url: str) -> Iterator[Callable[..., None]]:
    with log_writer(redis_url) as write:
        yield write


@pytest.fixture
def in_utc():
    """Times of day are shown in UTC."""
    with in_zone("UTC"):
        yield
