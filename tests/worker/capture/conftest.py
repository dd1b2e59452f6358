"""A run without a broker."""

from __future__ import annotations

import pytest
from support.trackers import make_tracker

from celery_wsprogress.worker import context


@pytest.fixture
def new_tracker():
    """Makes trackers that are not the current one."""
    return make_tracker


@pytest.fixture
def tracker():
    """A tracker that is the current one."""
    tracker = make_tracker()
    token = context.current_tracker.set(tracker)
    yield tracker
    context.current_tracker.reset(token)


@pytest.fixture
def sink(tracker):
    return tracker.sink
