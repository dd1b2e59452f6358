"""The fields of an event of Celery's, made from progress."""

from __future__ import annotations

import json

import pytest
from celery.events.state import Task
from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.worker.mirror.progress_fields import MAX_UNIT, progress_fields


def value(fraction, current=None, total=None, unit=None, *, indeterminate=False):
    return (0.0, fraction, indeterminate, "a message", {"a": 1}, current, total, unit, 0.0)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (value(0.3, 3, 10, "rows"), "30% (3/10 rows)"),
        (value(0.3, 3, 10), "30% (3/10)"),
        (value(0.29), "29%"),
        (value(0.999), "99%"),
        (value(1.0), "100%"),
        (value(0.5, 1.25, 2.5, "MB"), "50% (1.25/2.50 MB)"),
        (value(0.5, 1.0, 2.0), "50% (1/2)"),
        (value(0.3, 7, None, "rows", indeterminate=True), "7 rows"),
        (value(0.3, indeterminate=True), "unknown"),
        (value(0.5, 1, 2, "u" * 1_000), f"50% (1/2 {'u' * MAX_UNIT})"),
    ],
)
def test_progress_is_a_short_text(shown, text):
    assert progress_fields(shown)["progress"] == text


def test_known_numbers_are_sent_as_such():
    assert progress_fields(value(0.3, 3, 10)) == {
        "progress": "30% (3/10)",
        "current": 3,
        "total": 10,
    }
    assert progress_fields(value(0.3)) == {"progress": "30%"}


FRACTIONS = st.floats(0, 1)
NUMBERS = st.none() | st.floats(0, 1e300) | st.integers(0, 10**18)


@given(FRACTIONS, NUMBERS, NUMBERS, st.none() | st.text(), st.booleans())
def test_no_field_overwrites_one_of_the_task_and_all_are_json(
    fraction, current, total, unit, indeterminate
):
    fields = progress_fields(value(fraction, current, total, unit, indeterminate=indeterminate))
    assert not fields.keys() & Task().as_dict().keys()
    assert json.loads(json.dumps(fields))["progress"]
