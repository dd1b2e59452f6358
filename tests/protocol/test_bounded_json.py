"""Values of plain builtins are encoded as they are, all others as a bounded copy."""

from __future__ import annotations

import json

import pytest

from celery_wsprogress.protocol.bounded_json import encode

MANY = 60


class SoftTimeLimitExceeded(Exception):
    """As Celery's, which is known by its name."""


class Meta(type):
    """Of classes whose hash raises something the first time."""

    raises: list[type[Exception]]

    def __hash__(cls):
        if cls.raises:
            raise cls.raises.pop()
        return 1


def instance_of(raised):
    return Meta("Odd", (), {"raises": [raised], "__str__": lambda _: "odd"})()


def test_a_class_that_raises_costs_no_more_than_the_short_way():
    encoded = encode([instance_of(RuntimeError)] * MANY)
    assert json.loads(encoded.json) == ["odd"] * MANY
    assert encoded.whole


def test_a_soft_time_limit_in_the_middle_of_a_check_reaches_the_task():
    with pytest.raises(SoftTimeLimitExceeded):
        encode([instance_of(SoftTimeLimitExceeded)] * MANY)
