from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.worker.logs.token_bucket import TokenBucket

rates = st.floats(1, 1_000)
bursts = st.integers(1, 5_000)
pauses = st.lists(st.floats(0, 3), max_size=200)


@given(rates, bursts, pauses)
def test_no_more_pass_than_the_rate_and_the_burst_allow(rate, burst, pauses):
    bucket, now, passed = TokenBucket(rate, burst, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        passed += bucket.take(now)
        assert passed <= burst + rate * now + 1e-6


@given(rates, bursts, st.integers(0, 300))
def test_what_keeps_to_the_rate_passes(rate, burst, lines):
    bucket = TokenBucket(rate, burst, 0.0)
    assert all(bucket.take(n * (1 / rate + 1e-6)) for n in range(1, lines + 1))


@given(rates, bursts)
def test_the_burst_passes_at_once_and_no_more(rate, burst):
    bucket = TokenBucket(rate, burst, 0.0)
    assert [bucket.take(0.0) for _ in range(burst + 1)] == [True] * burst + [False]


def test_a_flood_that_goes_on_leaves_one_gap_a_second():
    bucket = TokenBucket(100, 500, 0.0)
    taken = [bucket.take(n / 10_000) for n in range(100_000)]
    gaps = sum(before and not after for before, after in pairwise(taken))
    assert gaps <= 11
    assert sum(taken) >= 500 + 100 * 8


def test_a_clock_that_goes_back_gives_nothing():
    bucket = TokenBucket(1, 1, 10.0)
    assert bucket.take(10.0)
    assert not bucket.take(5.0)
    assert not bucket.take(5.5)
    assert bucket.take(6.5)
