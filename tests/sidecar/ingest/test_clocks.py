"""Times of several machines on one clock."""

from __future__ import annotations

import pytest
from support.sample_events import progress, scheduled, status

from celery_wsprogress.protocol.batches import Batch
from celery_wsprogress.sidecar.ingest.clocks import Clocks

HOUR = 3_600.0


def batch(*events, sent, writer="w", at=0.0):
    return Batch(writer, 1, events, 0, (), at, 10.0, sent)


def times(corrected):
    return [event.timestamp for event in corrected.events]


@pytest.mark.parametrize("off", [-HOUR, -60.0, -6.0, 0.0, 4.0, 60.0, HOUR])
def test_times_are_those_of_the_broker(off):
    written = batch(status("started", at=100.0 + off), progress(0.1, at=101.0 + off),
                    sent=102.0 + off, at=102.0 + off)  # fmt: skip
    corrected = Clocks().correct(written, 102.0)
    assert times(corrected) == ([104.0, 105.0] if off == 4.0 else [100.0, 101.0])
    assert corrected.at == (106.0 if off == 4.0 else 102.0)


@pytest.mark.parametrize("off", [-HOUR, 0.0, HOUR])
def test_so_is_the_time_that_a_task_waits_for(off):
    waits = scheduled(at=100.0 + off, starts_at=120.0 + off, expires_at=130.0 + off)
    [event] = Clocks().correct(batch(waits, sent=102.0 + off), 102.0).events
    assert (event.timestamp, event.data.starts_at, event.data.expires_at) == (100.0, 120.0, 130.0)


def test_what_waited_for_the_broker_keeps_its_time():
    assert times(Clocks().correct(batch(progress(0.1, at=10.0), sent=500.0), 500.1)) == [10.0]


def test_a_writer_that_was_stopped_while_it_wrote_has_no_other_clock():
    clocks = Clocks()
    clocks.correct(batch(sent=100.0), 100.0)
    assert times(clocks.correct(batch(progress(0.1, at=101.0), sent=101.0), 900.0)) == [101.0]
    assert times(clocks.correct(batch(progress(0.1, at=901.0), sent=901.0), 901.0)) == [901.0]


def test_a_clock_that_is_set_is_believed_from_the_second_time_on():
    clocks = Clocks()
    clocks.correct(batch(sent=100.0), 100.0)
    for _ in range(2):
        corrected = clocks.correct(batch(progress(0.1, at=50.0), sent=50.0), 101.0)
    assert times(corrected) == [101.0]


@pytest.mark.parametrize(("sent", "taken"), [(0.0, 9_000.0), (9_000.0, 0.0)])
def test_where_a_time_is_not_known_nothing_is_corrected(sent, taken):
    assert times(Clocks().correct(batch(progress(0.1, at=10.0), sent=sent), taken)) == [10.0]


def test_what_is_known_of_a_clock_goes_for_what_nobody_saw_arrive():
    clocks = Clocks()
    clocks.correct(batch(sent=100.0), 100.0 + HOUR)
    assert times(clocks.correct(batch(progress(0.1, at=110.0), sent=110.0), 0.0)) == [110.0 + HOUR]
    other = batch(progress(0.1, at=110.0), sent=110.0, writer="another")
    assert times(clocks.correct(other, 0.0)) == [110.0]


def test_no_time_is_impossible():
    early = batch(progress(0.1, at=10.0), sent=HOUR * 10)
    assert times(Clocks().correct(early, 1.0)) == [0.0]
