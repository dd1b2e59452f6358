"""Deadlines are due in their order, once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.sidecar.limits.deadline_queue import DeadlineQueue


def test_a_deadline_is_due_once_and_can_be_set_anew_or_forgotten():
    deadlines = DeadlineQueue(10.0)
    for number, one in enumerate("abcd"):
        deadlines.begin(one, float(number))
    deadlines.begin("a", 5.0)
    deadlines.discard("c")
    deadlines.discard("unknown")
    assert deadlines.take_due(10.9) == []
    assert deadlines.take_due(11.0) == ["b"]
    assert deadlines.take_due(100.0) == ["d", "a"]
    assert deadlines.take_due(100.0) == []
    assert len(deadlines) == 0


@given(st.lists(st.tuples(st.sampled_from(["begin", "discard", "take"]), st.integers(0, 5))))
def test_none_is_due_too_early_or_left_behind(steps):
    deadlines, expected, now = DeadlineQueue(3.0), {}, 0.0
    for what, one in steps:
        now += 1.0
        if what == "begin":
            deadlines.begin(one, now)
            expected[one] = now + 3.0
        elif what == "discard":
            deadlines.discard(one)
            expected.pop(one, None)
        else:
            due = {one for one, deadline in expected.items() if deadline <= now}
            assert set(deadlines.take_due(now)) == due
            expected = {one: end for one, end in expected.items() if one not in due}
    assert len(deadlines) == len(expected)
