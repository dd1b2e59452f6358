"""Connections have limits in all and by address, and unfinished requests have a deadline."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.sidecar.limits.admission import (
    REQUEST_TIMEOUT,
    Admission,
    ConnectionLimits,
)


class Connection:
    """A connection that knows for which limit it was closed."""

    def __init__(self):
        self.dropped_for = None

    def drop(self, limit):
        self.dropped_for = limit


def begun(admission, address, count, now=0.0):
    made = [Connection() for _ in range(count)]
    for one in made:
        admission.begin(one, address, now)
    return made


def test_over_the_limit_the_address_with_most_unfinished_requests_loses_its_oldest_one():
    admission = Admission(ConnectionLimits(10, 10, 10, unfinished=4))
    many, few = begun(admission, "a", 3), begun(admission, "b", 1)
    [late] = begun(admission, "b", 1)
    assert [one.dropped_for for one in many] == ["unfinished", None, None]
    assert not few[0].dropped_for
    assert not late.dropped_for
    assert admission.unfinished == 4
    assert admission.refused == {"unfinished": 1}


def test_handshakes_are_refused_over_the_limits_and_a_closed_connection_makes_room():
    admission = Admission(ConnectionLimits(total=3, per_address=2, per_subject=9))
    ones = begun(admission, "a", 4)
    assert [admission.admit(one, "a") for one in ones] == [None, None, "address", "address"]
    assert admission.unfinished == 2
    assert admission.admit(ones[2], "b") is None
    assert admission.admit(ones[3], "c") == "connections"
    admission.end(ones[0])
    assert admission.admit(ones[3], "a") is None
    assert admission.refused == {"address": 2, "connections": 1}


def test_who_has_not_sent_the_head_of_the_request_in_time_is_dropped():
    admission = Admission(ConnectionLimits(10, 10, 10))
    slow, served, opened, late = (begun(admission, "a", 1)[0] for _ in range(4))
    admission.end_head(served)
    assert admission.admit(opened, "a") is None
    admission.end_head(opened)
    admission.drop_late(REQUEST_TIMEOUT - 0.1)
    assert not slow.dropped_for
    admission.end(late)
    admission.drop_late(REQUEST_TIMEOUT)
    assert [one.dropped_for for one in (slow, served, opened, late)] == [
        "timeout",
        None,
        None,
        None,
    ]
    assert admission.refused == {"timeout": 1}


def test_a_connection_counts_for_everybody_whose_tokens_it_holds_while_it_does():
    admission = Admission(ConnectionLimits(10, 10, per_subject=2))
    first, second, third = begun(admission, "a", 3)
    [never] = begun(admission, "a", 1)
    for one in (first, second, third):
        assert admission.admit(one, "a") is None
    anna, both = frozenset({"anna"}), frozenset({"anna", "eva"})
    assert admission.hold_subjects(first, anna)
    assert admission.hold_subjects(second, both)
    assert not admission.hold_subjects(third, both)
    assert admission.hold_subjects(third, frozenset({"eva"}))
    # A token was renewed, or another of the same holder came.
    assert admission.hold_subjects(second, frozenset(both))
    # A connection that is not open counts for nobody.
    assert admission.hold_subjects(never, anna)
    # Her token has ended on one connection; another one is closed.
    assert admission.hold_subjects(second, frozenset())
    assert admission.hold_subjects(third, both)
    admission.end(first)
    assert admission.hold_subjects(second, anna)
    assert admission.refused == {"subject": 1}


SUBJECTS = ["", "a", "b", "ab", "ab"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["begin", "head", "admit", "hold", "end"]), st.integers(0, 9)),
        max_size=60,
    )
)
def test_whatever_happens_the_limits_hold_and_nothing_is_left(steps):
    limits = ConnectionLimits(total=4, per_address=3, per_subject=2, unfinished=3)
    admission, made = Admission(limits), [Connection() for _ in range(10)]
    begun_ones, open_ones, held = set(), set(), {}
    for what, number in steps:
        one, address = made[number], "ab"[number % 2]
        if what == "begin" and number not in begun_ones and not one.dropped_for:
            admission.begin(one, address, 0.0)
            begun_ones.add(number)
        elif what == "head":
            admission.end_head(one)
        elif what == "admit" and number in begun_ones - open_ones and not one.dropped_for:
            if admission.admit(one, address) is None:
                open_ones.add(number)
        elif what == "hold":
            wanted = frozenset(SUBJECTS[number % 5])
            if admission.hold_subjects(one, wanted) and number in open_ones:
                held[number] = wanted
        elif what == "end":
            admission.end(one)
            held.pop(number, None)
            begun_ones.discard(number)
            open_ones.discard(number)
        assert len(open_ones) <= limits.total
        assert all(sum(one % 2 == side for one in open_ones) <= 3 for side in (0, 1))
        assert all(sum(who in one for one in held.values()) <= 2 for who in "ab")
        assert admission.unfinished <= limits.unfinished
    for one in made:
        admission.end(one)
    assert admission.unfinished == 0
    assert (admission._deadlines, admission._open, admission._open_by_address) == ({}, {}, {})
    assert (admission._subjects, admission._open_by_subject) == ({}, {})
