"""Work in steps returns what it would return at once."""

from __future__ import annotations

import pytest

from celery_wsprogress.hub.steps import take_all


def counted(steps):
    for _ in range(steps):
        yield
    return steps


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_all_steps_are_taken_and_the_result_is_returned(steps):
    assert take_all(counted(steps)) == steps
