"""What a full collection leaves is frozen, and closed connections are not frozen for ever."""

from __future__ import annotations

import gc
import weakref

import pytest

from celery_wsprogress.sidecar.full_collections import MAX_FROZEN, FullCollections


class Cycle:
    """Garbage that only a collection frees."""

    def __init__(self):
        self.me = self


@pytest.fixture
def collections():
    found = FullCollections()
    found.begin()
    yield found
    found.end()


def is_looked_at(container):
    return any(one is container for one in gc.get_objects())


def test_what_has_survived_one_is_not_looked_at_again(collections):
    held = [[]]
    assert is_looked_at(held)
    gc.collect()
    assert not is_looked_at(held)
    assert collections.count == 1


def test_what_is_there_in_the_beginning_is_not_looked_at():
    held, found = [[]], FullCollections()
    found.begin()
    try:
        assert not is_looked_at(held)
    finally:
        found.end()
    assert is_looked_at(held)


def test_the_younger_ones_freeze_nothing(collections):
    held = [[]]
    gc.collect(1)
    assert is_looked_at(held)
    assert collections.count == 0


def test_what_is_new_is_collected(collections):
    gc.collect()
    gone = weakref.ref(Cycle())
    gc.collect()
    assert gone() is None


def close(collections, opened_at, times):
    for _ in range(times):
        collections.note_closed(opened_at)


def test_frozen_connections_are_collected_when_there_are_many(collections):
    opened_at, connection = collections.count, Cycle()
    gc.collect()
    gone = weakref.ref(connection)
    del connection
    close(collections, opened_at, MAX_FROZEN)
    gc.collect()
    assert gone() is not None
    close(collections, opened_at, 1)
    gc.collect()
    assert gone() is None
    # Those that were thawed count no longer.
    close(collections, opened_at, 1)
    assert collections.frozen == 1


def test_connections_that_were_never_frozen_are_not_counted(collections):
    gc.collect()
    close(collections, collections.count, MAX_FROZEN + 1)
    assert collections.frozen == 0


def test_in_a_process_of_a_user_nothing_is_frozen():
    held, frozen = [[]], gc.get_freeze_count()
    collections = FullCollections()
    gc.collect()
    close(collections, 0, MAX_FROZEN + 1)
    assert is_looked_at(held)
    assert (collections.frozen, gc.get_freeze_count()) == (0, frozen)
