"""Celery's exceptions as texts and times for watchers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from celery.exceptions import Retry
from support.time_zones import in_zone

from celery_wsprogress.worker.signals import messages


@pytest.fixture
def far_from_greenwich():
    with in_zone("Asia/Tokyo"):
        yield


IN_A_MINUTE = timedelta(minutes=1)


@pytest.mark.usefixtures("far_from_greenwich")
@pytest.mark.parametrize("zone", [None, UTC, timezone(timedelta(hours=5))])
def test_until_a_retry_is_as_long_as_for_the_worker(zone):
    """Celery takes an ``eta`` without a zone for UTC."""
    at = datetime.now(UTC) + IN_A_MINUTE
    when = at.replace(tzinfo=None) if zone is None else at.astimezone(zone)
    _, retry_in = messages.retry(Retry(exc=ValueError(), when=when), full=True)
    assert retry_in == pytest.approx(60, abs=30)


@pytest.mark.parametrize(("when", "retry_in"), [(0.5, 0.5), (-1, 0.0), (None, None)])
def test_a_countdown_is_said_as_it_was_given(when, retry_in):
    assert messages.retry(Retry(exc=ValueError(), when=when), full=True)[1] == retry_in
