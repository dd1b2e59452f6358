from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.worker.progress_args import UsageWarning, format_warning, parse_progress

numbers = st.one_of(
    st.none(), st.floats(), st.integers(), st.fractions(), st.decimals(allow_nan=False)
)


@given(numbers, numbers, numbers)
def test_whatever_the_numbers_are_the_measure_can_be_sent(progress, current, total):
    found = parse_progress(progress, "", current, total)
    assert found.fraction is None or 0.0 <= found.fraction <= 1.0
    for number in (found.current, found.total):
        assert number is None or math.isfinite(number)


@pytest.mark.parametrize(
    ("progress", "current", "total", "fraction"),
    [
        (0.5, None, None, 0.5),
        (1, None, None, 1.0),
        (Decimal("0.25"), None, None, 0.25),
        (Fraction(1, 4), None, None, 0.25),
        (np.float32(0.25), None, None, 0.25),
        (None, 3, 4, 0.75),
        (None, np.int64(3), Decimal(4), 0.75),
        (0.1, 3, 4, 0.1),
        (None, 3, None, None),
        (None, 0, 0, None),
        (None, 3, -1, None),
        (None, None, 10, None),
        (None, None, None, None),
    ],
)
def test_fraction(progress, current, total, fraction):
    found = parse_progress(progress, "", current, total)
    assert found.fraction == fraction
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("arguments", "fraction", "warnings"),
    [
        ((50, "", None, None), 1.0, UsageWarning.PROGRESS_RANGE),
        ((-0.1, "", None, None), 0.0, UsageWarning.PROGRESS_RANGE),
        ((3, 10, None, None), 1.0, UsageWarning.POSITIONAL_TOTAL),
        ((math.nan, "", None, None), None, UsageWarning.NOT_FINITE),
        ((math.inf, "", None, None), None, UsageWarning.NOT_FINITE),
        ((10**5000, "", None, None), None, UsageWarning.NOT_FINITE),
        ((None, "", 1, math.inf), None, UsageWarning.NOT_FINITE),
        ((None, "", 11, 10), 1.0, UsageWarning.CURRENT_RANGE),
        ((None, "", -1, 10), 0.0, UsageWarning.CURRENT_RANGE),
    ],
)
def test_odd_numbers_are_clamped_and_answered_once(arguments, fraction, warnings):
    found = parse_progress(*arguments)
    assert found.fraction == fraction
    assert found.warnings == (warnings,)
    assert "update_progress(" in format_warning(
        warnings, **dict(zip(("progress", "message", "current", "total"), arguments, strict=True))
    )


@pytest.mark.parametrize("wrong", ["50%", b"1", True, np.bool_(1), 1j, [], object()])
@pytest.mark.parametrize("place", [0, 2, 3])
def test_what_is_no_number_is_an_error_of_the_program(wrong, place):
    arguments = [None, "", None, None]
    arguments[place] = wrong
    with pytest.raises(TypeError, match=r"^(progress|current|total) must be a number, not "):
        parse_progress(*arguments)


def test_the_advice_shows_the_spelling_that_was_meant():
    fifty = format_warning(
        UsageWarning.PROGRESS_RANGE, progress=50, message="", current=None, total=None
    )
    assert "update_progress(0.5)" in fifty
    assert "update_progress(current=50, total=...)" in fifty
    three = format_warning(
        UsageWarning.POSITIONAL_TOTAL, progress=3, message=10, current=None, total=None
    )
    assert three.endswith("update_progress(current=3, total=10)")
