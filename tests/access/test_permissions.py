from __future__ import annotations

import math

import pytest
from hypothesis import given
from support.json_values import values
from support.tokens import KEY, NOW, OTHER_KEY, guarded, token

from celery_wsprogress.access.grants import (
    ALL_OPERATIONS,
    EVERYTHING,
    Pattern,
    PatternKind,
    View,
)
from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.errors import TokenError
from celery_wsprogress.operations.operation import Operation

# Permits.


def test_without_a_key_all_may_be_watched_and_listed():
    permit = Permit(None)
    assert permit.may_watch("op", NOW)
    assert permit.may_list(NOW)
    assert permit.may_count(NOW)


def test_a_page_exact_only_may_watch_and_count_and_nothing_more():
    permit = Permit(None, exact_only=True)
    assert permit.may_watch("op", NOW)
    assert permit.may_count(NOW)
    assert not permit.may_list(NOW)


def test_with_a_key_nothing_is_allowed_before_a_token():
    permit = guarded()
    assert not permit.may_watch("op", NOW)
    assert not permit.may_watch(EVERYTHING, NOW)
    assert not permit.may_list(NOW)
    assert not permit.may_count(NOW)


def test_it_tells_who_holds_its_tokens():
    permit = guarded()
    permit.add(token("op", sub="anna"), timestamp=NOW)
    permit.add(token("op"), timestamp=NOW)
    assert permit.subjects == {"anna"}
    assert Permit(None).subjects == frozenset()


def test_a_token_grants_its_ids_until_it_ends():
    permit = guarded()
    permit.add(token("op"), timestamp=NOW)
    assert permit.may_watch("op", NOW)
    assert permit.may_count(NOW)
    assert not permit.may_watch("other", NOW)
    assert not permit.may_watch("o", NOW)
    assert not permit.may_list(NOW)
    assert not permit.may_watch("op", NOW + 60)
    assert not permit.may_count(NOW + 60)


def test_a_token_for_everything_grants_lists_too():
    permit = guarded()
    permit.add(token(EVERYTHING), timestamp=NOW)
    assert permit.may_watch("op", NOW)
    assert permit.may_list(NOW)


def test_even_such_a_token_lists_nothing_for_a_page_exact_only():
    permit = guarded(exact_only=True)
    permit.add(token(EVERYTHING), timestamp=NOW)
    assert permit.may_watch("op", NOW)
    assert not permit.may_list(NOW)


def test_a_bad_token_takes_nothing_away():
    permit = guarded()
    permit.add(token("op"), timestamp=NOW)
    with pytest.raises(TokenError):
        permit.add(token("op", key=OTHER_KEY), timestamp=NOW)
    assert permit.may_watch("op", NOW)


def test_any_number_of_tokens_adds_up():
    permit = guarded()
    for number in range(300):
        permit.add(token(f"op-{number}"), timestamp=NOW)
    assert len(permit.grants) == 300
    assert permit.may_watch("op-0", NOW)
    assert permit.may_watch("op-299", NOW)
    assert permit.earliest_end == NOW + 60


def test_tokens_that_have_expired_are_not_kept():
    permit = guarded()
    permit.add(token("old", lasting=10), timestamp=NOW)
    permit.add(token("new", sub="user"), timestamp=NOW + 10)
    assert [one.subject for one in permit.grants] == ["user"]
    assert not permit.drop_ended(NOW + 59)
    assert permit.drop_ended(NOW + 60)
    assert permit.earliest_end == math.inf


def test_rights_can_be_taken_back():
    permit = guarded()
    permit.add(token("op", jti="t1"), timestamp=NOW)
    assert not permit.drop_if(lambda grant: grant.token_id == "t2")
    assert permit.drop_if(lambda grant: grant.token_id == "t1")
    assert not permit.may_watch("op", NOW)
    assert not permit.is_authenticated(NOW)


def test_an_operation_is_covered_by_what_is_known_of_it():
    permit = guarded()
    permit.add(token(ops=["group:g"]), timestamp=NOW)
    member = Operation("op", 0.0, group_id="g")
    assert permit.may_watch("op", NOW, member)
    assert not permit.may_watch("op", NOW)
    assert not permit.may_watch("other", NOW, Operation("other", 0.0, group_id="h"))
    assert not permit.may_watch("op", NOW + 60, member)


def test_a_group_is_watched_and_listed_by_its_token():
    permit = guarded()
    permit.add(token(ops=["group:g"]), timestamp=NOW)
    group, other = Pattern(PatternKind.GROUP, "g"), Pattern(PatternKind.GROUP, "h")
    tag = Pattern(PatternKind.TAG, "t")
    assert permit.may_select(group, NOW)
    assert not permit.may_select(other, NOW)
    assert not permit.may_select(ALL_OPERATIONS, NOW)
    assert permit.may_list(NOW, [tag, group])
    assert not permit.may_list(NOW, [tag])
    assert not permit.may_list(NOW)


def test_each_right_is_needed_for_its_own_thing():
    operation = Operation("op", 0.0)
    for right in ("watch", "list", "stats", "cancel"):
        permit = guarded()
        permit.add(token(EVERYTHING, can=[right]), timestamp=NOW)
        assert permit.may_watch("op", NOW, operation) == (right == "watch")
        assert permit.may_select(ALL_OPERATIONS, NOW) == (right == "watch")
        assert permit.may_list(NOW) == (right == "list")
        assert permit.may_count(NOW) == (right == "stats")
        assert permit.is_authenticated(NOW)


def test_the_view_is_the_widest_of_the_tokens_that_cover_the_operation():
    permit, operation = guarded(), Operation("op", 0.0, group_id="g")
    assert permit.view_of(operation, NOW) is View.PROGRESS
    permit.add(token(ops=["group:g"], view="progress"), timestamp=NOW)
    permit.add(token("other"), timestamp=NOW)
    permit.add(token("op", can=["list"]), timestamp=NOW)
    assert permit.view_of(operation, NOW) is View.PROGRESS
    permit.add(token("op", lasting=30), timestamp=NOW)
    assert permit.view_of(operation, NOW) is View.FULL
    assert permit.view_of(operation, NOW + 30) is View.PROGRESS


def test_without_a_key_everything_is_seen():
    assert Permit(None).view_of(Operation("op", 0.0), NOW) is View.FULL
    assert Permit(None).is_open
    assert not guarded().is_open


@given(values)
def test_without_a_key_any_token_is_as_good_as_none(something):
    permit = Permit(None)
    assert permit.add(something, timestamp=NOW).expires_at == math.inf
    assert permit.grants == []


def test_the_key_is_not_in_the_text_of_a_permit():
    assert KEY not in repr(guarded())


def test_a_page_of_any_website_learns_nothing_of_others():
    permit = Permit(None, exact_only=True, untrusted=True)
    assert permit.may_watch("op", NOW)
    assert not permit.may_list(NOW)
    assert not permit.may_count(NOW)
