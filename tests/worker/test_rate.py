from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.worker.rate import RateEstimator


def test_there_is_nothing_to_go_by_at_first():
    assert RateEstimator().add(0.0, 5, 10) == (None, None)


def test_a_steady_pace():
    estimator = RateEstimator()
    for second in range(5):
        rate, eta = estimator.add(second, second * 3, 100)
    assert rate == pytest.approx(3.0)
    assert eta == pytest.approx((100 - 12) / 3)


def test_a_change_of_pace_is_followed_gradually():
    estimator = RateEstimator()
    for second in range(20):
        estimator.add(second, second * 10, 1000)
    rates = [estimator.add(20 + n, 190 + 2 * (n + 1), 1000)[0] for n in range(30)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(10 + 0.3 * (2 - 10), rel=0.01)
    assert rates[-1] == pytest.approx(2.0, rel=0.01)


def test_without_a_total_there_is_a_rate_and_no_end():
    estimator = RateEstimator()
    estimator.add(0.0, 0, None)
    assert estimator.add(2.0, 8, None) == (4.0, None)


def test_going_back_or_another_total_starts_anew():
    estimator = RateEstimator()
    estimator.add(0.0, 0, 10)
    assert estimator.add(1.0, 5, 10)[0] == 5.0
    assert estimator.add(2.0, 1, 10) == (None, None)
    assert estimator.add(3.0, 2, 10)[0] == 1.0
    assert estimator.add(4.0, 3, 20) == (None, None)


def test_a_standstill_has_no_end():
    estimator = RateEstimator()
    estimator.add(0.0, 5, 10)
    assert estimator.add(1.0, 5, 10) == (0.0, None)


numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(numbers, numbers, st.none() | numbers)))
def test_estimates_are_finite_or_left_out(readings):
    estimator = RateEstimator()
    for at, position, scale in readings:
        for estimate in estimator.add(at, position, scale):
            assert estimate is None or (math.isfinite(estimate) and estimate >= 0)
