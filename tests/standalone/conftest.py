"""Operations of this process, written to a real Redis and read back from its log."""

from __future__ import annotations

import pytest
from support import process_state
from support.event_log import LogReader


@pytest.fixture
def log(redis_url, monkeypatch):
    """The log of the events of this process's operations."""
    with process_state.fresh(monkeypatch, redis_url):
        yield LogReader(redis_url)
