"""The pytest plugin: the fixture ``recorded_progress``, and no thread that is left behind.

Every run of pytest in an environment that has this package imports this module, so it loads no
Celery before the fixture is used.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import pytest

from celery_wsprogress.testing.record import record_progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery_wsprogress.testing.recorded import Recorded

CLOSE_TIMEOUT: Final = 5.0
"""Seconds that the end of a test run waits for events of tasks that were not recorded."""


@pytest.fixture
def recorded_progress() -> Iterator[Recorded]:
    """What tasks report during the test, which nothing else gets.

    They may run eagerly, on a worker in this process, or be called as functions.
    """
    with record_progress() as recorded:
        yield recorded


def pytest_unconfigure() -> None:
    """Close the connections, and end the threads, of tasks that ran without being recorded."""
    publishers = sys.modules.get("celery_wsprogress.worker.publishing.publishers")
    if publishers is not None:
        publishers.close_all(CLOSE_TIMEOUT)
    mirrors = sys.modules.get("celery_wsprogress.worker.mirror.flower_mirror")
    if mirrors is not None:
        mirrors.close_all()
