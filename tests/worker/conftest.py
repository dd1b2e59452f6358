"""Workers for the tests of the worker side."""

from __future__ import annotations

import importlib

import pytest
from support.event_log import LogReader
from support.workers import Worker


@pytest.fixture(scope="session")
def life(redis_server):
    """The project ``life``, for callers, on the shared Redis."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BROKER_URL", redis_server.url)
        patch.setenv("RESULT_BACKEND", redis_server.url)
        return importlib.import_module("life")


@pytest.fixture(scope="module")
def worker(redis_server, life):
    """A prefork worker of ``life``, for all tests of a module."""
    with Worker("life", broker=redis_server.url, backend=redis_server.url) as worker:
        yield worker


@pytest.fixture
def log(redis_server):
    """The log of the events on the shared Redis."""
    return LogReader(redis_server.url)
