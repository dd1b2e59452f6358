"""A number is what ASCII digits say, up to 20 of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.protocol.whole_numbers import parse_whole_number


@given(st.integers(0, 10**20 - 1))
def test_digits_are_a_number(number):
    assert parse_whole_number(str(number)) == number


@given(st.text())
def test_another_text_is_none(text):
    number = parse_whole_number(text)
    assert number is None or text.zfill(20) == str(number).zfill(20)


@pytest.mark.parametrize("text", ["", "-1", "+1", " 1", "1\n", "1_0", "1.0", "²", "٣", "9" * 21])
def test_what_int_would_read_or_nearly_is_no_number(text):
    assert parse_whole_number(text) is None
