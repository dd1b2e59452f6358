"""Recording without loading Celery before it begins."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery_wsprogress.testing.recorded import Recorded


@contextmanager
def record_progress() -> Iterator[Recorded]:
    """Record what tasks report inside of it, instead of publishing it.

    Tasks may run eagerly, on a worker in this process (``celery.contrib.testing``, or Celery's
    fixture ``celery_worker``), or be called as functions. With pytest, the fixture
    ``recorded_progress`` does it for a test.
    """
    # Imported here: it loads Celery.
    from celery_wsprogress.testing.recorder import recorder  # noqa: PLC0415

    with recorder() as recorded:
        yield recorded
