"""What grows with what, and that a plan fits what it was made for."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from celery_wsprogress.cli.size_estimate import COSTS, MAX_LOAD, Load, decode_time, estimate

loads = st.builds(
    Load,
    tasks=st.integers(0, 100_000),
    updates=st.floats(0, 10),
    watchers=st.integers(0, 1_000_000),
    share=st.floats(0, 1),
    duration=st.floats(1, 86_400),
    held=st.integers(0, 10_000),
)


@given(loads, st.floats(0.2, 5))
def test_no_process_is_busier_than_planned_and_one_fewer_would_be(load, slower):
    found = estimate(load, COSTS.times(slower))
    if found.processes is None:
        assert found.busy >= MAX_LOAD
        return
    assert found.busy <= MAX_LOAD * 1.000001
    reading = estimate(load._replace(watchers=0), COSTS.times(slower)).busy
    delivering = (found.busy - reading) * found.processes
    fewer = found.processes - 1
    assert not fewer or reading + delivering / fewer > MAX_LOAD * 0.999999


@given(loads)
def test_who_watches_costs_the_broker_only_what_more_processes_read(load):
    found = estimate(load)
    alone = estimate(load._replace(watchers=0))
    assert found.log_in == alone.log_in
    assert found.log_out == found.log_in * (found.processes or 1)


@given(loads, st.integers(2, 10))
def test_slower_processors_need_at_least_as_many_processes(load, slower):
    usual, slow = estimate(load), estimate(load, COSTS.times(slower))
    assume(slow.processes is not None)
    assert usual.processes is not None
    assert slow.processes >= usual.processes


def test_nothing_to_do_is_one_process():
    found = estimate(Load(0, 0, 0, 0, 60, 0))
    assert (found.processes, found.busy, found.events, found.deliveries) == (1, 0, 0, 0)


def test_decoding_takes_time():
    assert 0 < decode_time() < 0.01
