"""A selector matches operations by what is known of them."""

from __future__ import annotations

import pytest
from support.sample_events import queued

from celery_wsprogress.errors import CommandError
from celery_wsprogress.operations.operation import Operation
from celery_wsprogress.operations.selector import (
    EVERYTHING,
    MAX_LENGTH,
    Selector,
    SelectorField,
    validate_glob,
)

FACTS = {"operation_type": "shop.sync", "tags": ["nightly"], "group_id": "g1", "root_id": "root-1"}


@pytest.fixture
def operation():
    made = Operation("op-1", first_seen_at=0.0)
    made.fold(queued(**FACTS))
    return made


@pytest.mark.parametrize(
    ("field", "fitting", "others"),
    [
        (SelectorField.OPERATION_TYPE, ["shop.sync", "shop.*", "*"], ["shop", "SHOP.*", ""]),
        (SelectorField.TAG, ["nightly"], ["night*", "n", ""]),
        (SelectorField.GROUP, ["g1"], ["g", "g*", ""]),
        (SelectorField.ROOT, ["root-1", "op-1"], ["root", "op-*", ""]),
    ],
)
def test_a_selector_matches_by_its_field(operation, field, fitting, others):
    assert [one for one in fitting if Selector(field, one).matches(operation)] == fitting
    assert [one for one in others if Selector(field, one).matches(operation)] == []


def test_everything_is_matched_also_before_anything_is_known():
    assert EVERYTHING.matches(Operation("op-1", first_seen_at=0.0))


def test_a_pattern_has_a_limit():
    validate_glob("*" * MAX_LENGTH)
    with pytest.raises(CommandError, match=f"at most {MAX_LENGTH} characters") as refusal:
        validate_glob("*" * (MAX_LENGTH + 1))
    assert refusal.value.code == "invalid_command"
