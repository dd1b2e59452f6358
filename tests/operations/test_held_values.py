"""What an operation keeps is bounded, and counted as it is."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sample_events import error, progress, status

from celery_wsprogress.operations.held_values import (
    MAX_METADATA_BYTES,
    MAX_NAME_LENGTH,
    MAX_TEXT_LENGTH,
    MAX_VALUE_BYTES,
    merge_metadata,
    size_of,
)
from celery_wsprogress.operations.operation import Operation
from celery_wsprogress.protocol import batches, jsonable
from celery_wsprogress.protocol.events import none_if_unset

LARGE = {f"name {number}": "x" * 100 for number in range(20_000)}


@pytest.fixture
def operation():
    return Operation("op-1", first_seen_at=1.0)


def read(event):
    """The event as it comes from the log: nothing of it is shared with others."""
    return batches.decode_event(batches.encode_event(event))


@pytest.mark.parametrize(
    "value",
    [
        {"parts": [{"at": 0.5 + number} for number in range(400)]},
        [[] for _ in range(2_000)],
        {str(number) * 12: "text" * number for number in range(300)},
        [1_000 + number for number in range(2_000)],
        {"flags": [True, False, None, 1] * 300},
    ],
)
def test_a_value_is_counted_as_it_is(value):
    text = batches.encode_event(progress(0.5, details={"value": value}))
    batches.decode_event(text)
    gc.disable()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        found = batches.decode_event(text)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        gc.enable()
    assert taken / 1.3 <= size_of(found.data.details) <= 1.3 * taken


def test_what_exists_once_costs_nothing():
    assert [size_of(value) for value in (None, True, 7)] == [0, 0, 0]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(st.dictionaries(st.text(), values))
def test_what_our_own_writers_send_is_never_cut(details):
    kept = jsonable.to_object(details)
    operation = Operation("op-1", first_seen_at=1.0)
    operation.fold(read(progress(0.5, details=kept)))
    operation.fold(read(status("mine", details=kept, metadata=kept)))
    assert operation.last_message.details == kept
    assert operation.metadata == kept
    assert size_of(kept) < MAX_VALUE_BYTES


@pytest.mark.parametrize(
    ("deep", "end"), [('{"":', "}"), ("[", "]"), ("[[],", "]"), ('[{"":1e9},', "]"), ("[257,", "]")]
)
def test_the_densest_json_of_the_allowed_size_is_within_the_bound(deep, end):
    part = f"{deep * 38}0{end * 38}"
    count = jsonable.MAX_DETAILS_BYTES // (len(part) + 1) - 2
    text = batches.encode_event(progress(0.5)).replace(
        b'"details":{}', b'"details":{"a":[%b]}' % ",".join([part] * count).encode()
    )
    assert size_of(batches.decode_event(text).data.details) < MAX_VALUE_BYTES


def test_large_values_of_a_foreign_writer_are_cut_with_a_mark(operation):
    operation.fold(progress(0.5, details=LARGE, message="x" * 1_000_000))
    message, details = operation.latest_message()
    assert details == {"truncated": True}
    assert message == "x" * MAX_TEXT_LENGTH + "… [cut]"
    operation.fold(status("mine", details=LARGE, metadata=LARGE))
    assert operation.last_message.details == {"truncated": True}
    assert operation.metadata == {"truncated": True}
    assert operation.size < 100_000


def test_large_names_of_a_foreign_writer_are_cut(operation):
    long = "x" * 1_000_000
    names = dict.fromkeys(("operation_type", "worker", "queue", "parent_id", "root_id"), long)
    operation.fold(status("started", tags=[long] * 1_000, metadata={}, group_id=long, **names))
    operation.fold(status("w" * 1_000_000))
    operation.fold(error(long))
    for value in (operation.worker, operation.group_id, operation.own_status, operation.error):
        assert MAX_NAME_LENGTH < len(value) < MAX_NAME_LENGTH + 20
    assert len(operation.tags) == jsonable.MAX_TAGS
    assert set(map(len, operation.tags)) == {jsonable.MAX_TAG_BYTES}
    assert operation.size < 100_000


def test_metadata_under_ever_new_names_is_bounded(operation):
    operation.fold(status("started", metadata={"customer": 7}))
    for number in range(1_000):
        operation.fold(status("mine", metadata={f"name {number}": "x" * 100}))
        assert len(str(operation.metadata)) < 2 * MAX_METADATA_BYTES
    assert operation.metadata["name 999"] == "x" * 100
    assert operation.size < 100_000


def test_what_is_known_already_stays_if_a_late_status_has_too_much():
    known, more = {"a": "x" * 5_000}, {"b": "y" * 5_000}
    assert merge_metadata(known, more, prefer_older=True) == known
    assert merge_metadata(known, more, prefer_older=False) == more
    assert merge_metadata({"a": 1, "b": 1}, {"a": 2}, prefer_older=True) == {"a": 1, "b": 1}
    assert merge_metadata({"a": 1, "b": 1}, {"a": 2}, prefer_older=False) == {"a": 2, "b": 1}


def test_what_is_replaced_is_no_longer_counted(operation):
    operation.fold(status("started", metadata={}))
    small = operation.size
    operation.fold(progress(0.1, details={"text": "x" * 5_000}))
    assert operation.size > small + 5_000
    operation.fold(progress(0.2))
    assert operation.size < small + 1_000
    operation.fold(status("started", run="r2", metadata={}))
    assert operation.size < small + 1_000
    assert none_if_unset(operation.last_progress) is None
