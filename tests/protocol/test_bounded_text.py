"""The text of a value is that of Python where it is small, and else that of a bounded copy."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from celery_wsprogress.protocol.bounded_copy import bounded_str
from celery_wsprogress.protocol.bounded_text import fields_of


@pytest.fixture
def shortest_integers():
    """Python refuses to print longer ones, as a program may have it do."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    yield
    sys.set_int_max_str_digits(before)


@pytest.mark.usefixtures("shortest_integers")
def test_a_small_container_that_python_refuses_to_print_is_copied():
    assert bounded_str([10**700, 1]) == "['… [a whole number of 2,326 bits]', 1]"


def test_fields_that_attrs_leaves_out_of_its_texts_are_left_out():
    class Made:
        # What attrs puts there, as far as it is read here.
        __attrs_attrs__ = (
            SimpleNamespace(name="shown", repr=True),
            SimpleNamespace(name="hidden", repr=False),
        )
        shown, hidden = 1, 2

    assert fields_of(Made()) == {"shown": 1}
