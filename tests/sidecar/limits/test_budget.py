"""A budget lets nobody use more than a burst and a share of the time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.sidecar.limits.budget import Budget

times = st.floats(0, 10)
spans = st.lists(st.tuples(times, st.floats(0, 1)), max_size=30)


@given(st.floats(0.01, 1), st.floats(0.1, 10), spans)
def test_who_waits_as_long_as_told_uses_no_more_than_burst_and_share(share, burst, turns):
    budget, now, used = Budget(share, burst), 0.0, 0.0
    for pause, spent in turns:
        now += pause + budget.delay(now + pause)
        assert used <= burst + share * now + 1 + 1e-6, "no more than one turn above"
        budget.charge(spent, now)
        used += spent


def test_what_is_within_the_burst_waits_for_nothing_and_the_rest_for_its_share():
    budget = Budget(0.5, 2.0)
    budget.charge(2.0, 10.0)
    assert budget.delay(10.0) == 0.0
    budget.charge(1.0, 10.0)
    assert budget.delay(10.0) == 2.0
    assert budget.delay(11.0) == 1.0
    assert budget.used(16.0) == 0.0
