from __future__ import annotations

from types import SimpleNamespace

import pytest

from celery_wsprogress.worker.signals import revoke_commands
from celery_wsprogress.worker.signals.revoke_commands import has_stamp, reason_for, remember_reason


def request(**stamps):
    return SimpleNamespace(stamped_headers=list(stamps) or None, stamps=stamps)


@pytest.mark.parametrize(
    ("stamped", "revoked", "expected"),
    [
        ({}, {"order": ["1"]}, False),
        ({"order": ["1"]}, {}, False),
        ({"order": ["1"]}, {"order": ["1"]}, True),
        ({"order": ["1", "2"]}, {"order": ["2", "3"]}, True),
        ({"order": "1"}, {"order": "1"}, True),
        ({"order": ["1"]}, {"order": ["2"]}, False),
        ({"order": ["1"]}, {"customer": ["1"]}, False),
        ({"order": None}, {"order": [None]}, False),
    ],
)
def test_stamps(stamped, revoked, expected):
    assert has_stamp(request(**stamped), revoked) is expected


def test_a_reason_is_kept_for_each_id():
    assert remember_reason(["reason-a", "reason-b"], "enough") == "enough"
    assert remember_reason("reason-c", "another") == "another"
    assert [reason_for(f"reason-{one}") for one in "abcd"] == ["enough", "enough", "another", ""]


def test_no_reason_keeps_the_one_that_is_known():
    remember_reason("reason-e", "enough")
    assert remember_reason("reason-e", None) == ""
    assert reason_for("reason-e") == "enough"


def test_a_reason_of_any_kind_is_a_short_text():
    assert len(remember_reason("reason-f", ["x" * 10_000]).encode()) <= 239
    assert remember_reason("reason-g", 7) == "7"


def test_only_the_newest_reasons_are_kept():
    for number in range(revoke_commands.MAX_REASONS + 1):
        remember_reason(f"number-{number}", "enough")
    assert reason_for("number-0") == ""
    assert reason_for("number-1") == "enough"
