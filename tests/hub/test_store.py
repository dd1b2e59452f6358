"""The store counts what it holds as it is."""

from __future__ import annotations

import pytest

from benchmarks.counted_memory import KINDS, fill, traced
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.store import Limits, OperationStore

LIMIT = 4_000_000


@pytest.mark.parametrize("life", KINDS, ids=lambda life: life.__name__)
def test_the_memory_is_what_is_counted(life):
    _, counted, taken = traced(life, LIMIT)
    assert taken <= 1.3 * counted
    # The names of values that are the same in many operations are counted for each of them.
    assert counted <= 1.4 * taken


@pytest.mark.parametrize("life", KINDS, ids=lambda life: life.__name__)
def test_what_is_evicted_is_counted_no_longer(life):
    hub = Hub(OperationStore(Limits(max_history_bytes=100_000)))
    fill(hub, life, LIMIT, most=200)
    # The newest operation is held, however large it is.
    assert hub.store.history_bytes <= 100_000 or len(hub.store) == 1
    hub.store.expire(1e9)
    assert (len(hub.store), hub.store.history_bytes) == (0, 0)
