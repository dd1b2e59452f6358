"""The members of a group, whose beginning is looked at before Celery sends them."""

from __future__ import annotations

from itertools import count, islice

import pytest

from celery_wsprogress.worker.plans.members import Members


def test_all_members_come_once_and_in_order():
    members = Members(iter(range(5)))
    assert list(members.peek(2)) == [0, 1]
    assert list(members.peek(3)) == [0, 1, 2]
    assert list(members) == [0, 1, 2, 3, 4]


def test_no_more_members_are_asked_for_than_wanted():
    members = Members(count())
    assert len(members.peek(10)) == 10
    assert list(islice(members, 12)) == list(range(12))


def test_the_others_are_noticed():
    members, noticed = Members(range(5)), []
    members.peek(3)
    members.notice = noticed.append
    assert list(members) == [0, 1, 2, 3, 4]
    assert noticed == [3, 4]


def test_an_error_while_a_member_is_noticed_is_ours_alone():
    members = Members(range(2))
    members.notice = lambda member: 1 / 0
    assert list(members) == [0, 1]


def test_an_error_of_the_generator_comes_where_it_would_have_come():
    def broken():
        yield 1
        raise LookupError("no more")

    members, found = Members(broken()), []
    assert list(members.peek(10)) == [1]
    with pytest.raises(LookupError, match="no more"):
        found.extend(members)
    members = iter(Members(broken()))
    assert next(members) == 1
    with pytest.raises(LookupError, match="no more"):
        next(members)
