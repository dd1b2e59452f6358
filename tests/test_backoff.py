from __future__ import annotations

from celery_wsprogress.backoff import MAX_DELAY, Backoff


def test_waits_grow_to_twenty_seconds_and_begin_again():
    backoff = Backoff(chance=lambda: 1.0)
    assert [backoff.next() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 20, 20]
    backoff.reset()
    assert backoff.next() == 0.5


def test_the_jitter_is_full():
    assert Backoff(chance=lambda: 0.0).next() == 0.0
    backoff = Backoff()
    waits = [backoff.next() for _ in range(100)]
    assert all(0 <= wait <= MAX_DELAY for wait in waits)
    assert len(set(waits)) > 90
