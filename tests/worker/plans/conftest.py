"""The project whose tasks send canvases, and a worker of it."""

from __future__ import annotations

import pytest
from support.plans import plans_in, queued_ids
from support.projects import load_project
from support.workers import Worker


@pytest.fixture(scope="session")
def project(redis_server):
    """The project ``canvases``, for callers."""
    return load_project("canvases", redis_server.url, redis_server.url)


@pytest.fixture(scope="module")
def worker(redis_server, project):
    """A worker of it."""
    with Worker("canvases", broker=redis_server.url, backend=redis_server.url) as worker:
        yield worker


@pytest.fixture
def log(log):
    """The log, which knows what was in it before."""
    log.plans_before, log.queued_before = set(plans_in(log)), len(queued_ids(log))
    return log
