"""The epochs of the log, and what is kept of ids that clients name."""

from __future__ import annotations

import pytest

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.log_cursor import MAX_EPOCHS, LogCursor
from celery_wsprogress.hub.session import Session


def test_the_oldest_epoch_is_forgotten_when_there_are_too_many():
    log = LogCursor()
    for number in range(MAX_EPOCHS + 1):
        log.start_epoch(f"e{number}")
    assert log.position_of("e0.5.0") is None
    oldest, newest = (log.position_of(f"e{number}.5.0") for number in (1, MAX_EPOCHS))
    assert (oldest.batch, newest.batch) == ((2, 5), (MAX_EPOCHS + 1, 5))
    log.start_epoch("again")
    assert log.position_of("again.5.0") > newest


@pytest.mark.parametrize(
    "since", ["e1." + "-".join("1" * 31_000) + ".0", "e1.5." + "9" * 400 + "r", "x" * 99, "e1.٣.0"]
)
def test_of_an_id_that_is_none_of_ours_nothing_is_kept(since):
    hub, session = Hub(), Session(1, Permit(None))
    recovered = hub.subscriptions.subscribe(session, "op-1", replay=None, since=since)
    assert not recovered
    cursor = session.cursors["op-1"]
    assert (cursor.skip_until, cursor.unknown_since) == (None, None)


def test_an_id_of_an_epoch_that_may_still_come_is_kept():
    hub, session = Hub(), Session(1, Permit(None))
    hub.subscriptions.subscribe(session, "op-1", replay=None, since="e9.5-0.1r")
    assert session.cursors["op-1"].unknown_since == "e9.5-0.1r"
