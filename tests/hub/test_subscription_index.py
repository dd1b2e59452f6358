"""The index knows who is subscribed to an operation, by its id or by a selector, each once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.deliveries import process
from support.sample_events import queued

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub import subscription_index
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.operation_record import OperationRecord
from celery_wsprogress.hub.session import Session
from celery_wsprogress.hub.subscription_index import GlobIndex, SubscriptionIndex
from celery_wsprogress.operations.history import History
from celery_wsprogress.operations.operation import Operation
from celery_wsprogress.operations.selector import EVERYTHING, FILTERS, Selector, SelectorField
from celery_wsprogress.protocol.batches import Batch

TAGGED = Selector(SelectorField.TAG, "nightly")
OTHER = Selector(SelectorField.TAG, "weekly")


@pytest.fixture
def index():
    return SubscriptionIndex()


@pytest.fixture
def record():
    hub = Hub()
    process(hub, Batch("w", 1, [queued(tags=["nightly"])]), epoch="e", position="1-0", now=0.0)
    [found] = hub.store.oldest_first(finished=True)
    return found


def operation(kind="", tags=(), group=None, root=None):
    made = Operation("op-1", first_seen_at=0.0)
    made.operation_type, made.tags, made.group_id, made.root_id = kind, tags, group, root
    return made


values = st.sampled_from(["", "a", "b", "ab", "op-1", "a*", "*", "?", "[ab]"])
selectors = st.one_of(
    st.just(EVERYTHING), st.builds(Selector, st.sampled_from(FILTERS), values.filter(bool))
)
operations = st.builds(
    operation, values, st.lists(values, max_size=2), st.none() | values, st.none() | values
)


def session(number=1):
    return Session(number, Permit(None))


def test_a_session_is_found_by_the_id(index, record):
    one, other = session(1), session(2)
    index.add(one, "op-1")
    index.add(other, "op-2")
    assert index.of(record) == (one,)
    assert index.by_id() == {one, other}
    assert one.subscribed == {"op-1"}
    assert len(index) == 2


def test_a_session_that_is_subscribed_in_several_ways_is_found_once(index, record):
    one, other = session(1), session(2)
    index.add(one, "op-1")
    for selector in (TAGGED, EVERYTHING):
        index.add_selector(other, selector)
        index.add_selector(one, selector)
    assert index.of(record) == (one, other)
    assert len(index) == 5


def test_only_selectors_that_match_count(index, record):
    one = session()
    index.add_selector(one, OTHER)
    assert index.of(record) == ()
    assert not index.selects(one, record)
    index.add_selector(one, TAGGED)
    assert index.of(record) == (one,)
    assert index.selects(one, record)
    assert not index.selects(one, None)


def test_the_end_of_one_subscription_leaves_the_others(index, record):
    one, other = session(1), session(2)
    for each in (one, other):
        index.add(each, "op-1")
        index.add_selector(each, TAGGED)
    index.remove(one, "op-1")
    assert set(index.of(record)) == {one, other}
    assert index.remove_selector(one, TAGGED)
    assert index.of(record) == (other,)
    assert index.remove_selector(other, TAGGED)
    index.remove(other, "op-1")
    assert index.of(record) == ()
    assert len(index) == 0
    assert not one.subscribed | other.subscribed
    assert not one.selectors | other.selectors


def test_ending_what_there_is_not_changes_nothing(index, record):
    one, other = session(1), session(2)
    index.add(one, "op-1")
    index.add_selector(one, TAGGED)
    index.remove(other, "op-1")
    index.remove(one, "op-2")
    assert not index.remove_selector(other, TAGGED)
    assert not index.remove_selector(one, OTHER)
    assert index.of(record) == (one,)
    assert len(index) == 2


@given(st.lists(st.tuples(st.booleans(), selectors), max_size=20), st.lists(operations, max_size=8))
def test_an_operation_is_looked_up_as_each_selector_would_match_it(changes, operations):
    index, one = SubscriptionIndex(), session()
    for added, selector in changes:
        if added:
            index.add_selector(one, selector)
        else:
            index.remove_selector(one, selector)
        for number, each in enumerate(operations):
            found = OperationRecord(each, History(), number)
            expected = {each_ for each_ in one.selectors if each_.matches(each)}
            assert index.selects(one, found) is bool(expected)
            assert set(found.selected_by) == (expected if one.selectors else set())
            assert index.of(found) == ((one,) if expected else ())


def test_a_glob_is_matched_once_with_each_type_and_few_types_are_known(monkeypatch):
    monkeypatch.setattr(subscription_index, "MAX_KNOWN_TYPES", 3)
    globs, glob = GlobIndex(), Selector(SelectorField.OPERATION_TYPE, "a*")
    assert list(globs.matching("a")) == []
    globs.add(glob)
    for number in range(10):
        assert list(globs.matching(f"a{number}")) == [glob]
        assert len(globs._by_type) <= 3


def test_globs_that_come_and_go_are_matched_with_the_types_that_are_known():
    globs, one, other = GlobIndex(), *(Selector(FILTERS[0], value) for value in ("a*", "b*"))
    globs.add(one)
    assert list(globs.matching("abc")) == [one]
    for each in (other, Selector(FILTERS[0], "*c")):
        globs.add(each)
    assert list(globs.matching("abc")) == [one, Selector(FILTERS[0], "*c")]
    globs.remove(one)
    globs.remove(other)
    assert list(globs.matching("abc")) == [Selector(FILTERS[0], "*c")]
