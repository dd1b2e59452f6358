"""The index knows who is subscribed to an operation, by its id or by a selector, each once."""

from __future__ import annotations

import pytest
from support.deliveries import process
from support.sample_events import queued

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.session import Session
from celery_wsprogress.hub.subscription_index import SubscriptionIndex, selects
from celery_wsprogress.operations.selector import EVERYTHING, Selector, SelectorField
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
    assert not selects(one, record)
    index.add_selector(one, TAGGED)
    assert index.of(record) == (one,)
    assert selects(one, record)
    assert not selects(one, None)


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
