from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime

import pytest
from msgspec import UNSET

from celery_wsprogress.protocol.batches import decode_event
from celery_wsprogress.protocol.events import LATEST, MAX_RUNS_BEFORE
from celery_wsprogress.worker.publishing.encoded_events import queued
from celery_wsprogress.worker.run_info import RunInfo, new_id


def _minted(_):
    return [new_id() for _ in range(3)]


def test_a_forked_process_makes_ids_of_its_own():
    """All of them begin as copies of one."""
    with multiprocessing.get_context("fork").Pool(3) as pool:
        found = pool.map(_minted, range(3), chunksize=1)
    ids = [one for some in [*found, _minted(0)] for one in some]
    assert len(set(ids)) == len(ids)
    assert {len(one) for one in ids} == {8}


@pytest.mark.parametrize(
    ("eta", "starts_at"),
    [
        (None, None),
        ("1970-01-02T00:00:00+00:00", 86_400.0),
        ("1970-01-02T00:00:00+01:00", 82_800.0),
        ("1970-01-02T00:00:00Z", 86_400.0),
        ("1970-01-02T00:00:00.5", 86_400.5),
        (datetime(1970, 1, 2, tzinfo=UTC), 86_400.0),
        ("1960-01-01T00:00:00+00:00", 0.0),
        ("9999-12-31T23:59:59.999999+00:00", LATEST),
        ("0001-01-01T00:00:00+14:00", 0.0),
        ("tomorrow", None),
        (12.5, None),
    ],
)
def test_when_a_message_waits_for_its_time(eta, starts_at):
    run = RunInfo.from_publish_headers({"id": "a", "eta": eta}, "task", "queue")
    assert run.starts_at == starts_at
    told = decode_event(queued(run, 1.0).event).data
    waits = starts_at is not None and starts_at > 1.0
    assert (told.status, told.starts_at) == (
        ("scheduled", starts_at) if waits else ("queued", UNSET)
    )


def test_until_when_a_message_may_start():
    headers = {"id": "a", "expires": "1970-01-02T00:00:00+00:00"}
    run = RunInfo.from_publish_headers(headers, "task", "queue")
    assert decode_event(queued(run, 1.0).event).data.expires_at == run.expires_at == 86_400.0


def test_a_run_names_the_last_runs_before_it_and_no_more():
    run = RunInfo("op", "t", "r0")
    for number in range(1, 30):
        run = RunInfo("op", "t", f"r{number}", after=run.after_this)
    assert run.after == " ".join(f"r{number}" for number in range(28, 28 - MAX_RUNS_BEFORE, -1))
