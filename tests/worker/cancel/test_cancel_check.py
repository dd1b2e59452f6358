from __future__ import annotations

from celery_wsprogress.worker.cancel.cancel_check import CancelCheck
from celery_wsprogress.worker.cancel.table import CancelTable


def test_a_check_looks_again_when_something_changed():
    table = CancelTable()
    check = CancelCheck("a", table)
    assert check() is None
    table.add("b", "")
    assert check() is None
    table.add("a", "enough")
    assert check() == "enough"


def test_a_check_that_is_new_sees_what_was_added_before():
    table = CancelTable()
    table.add("a", "")
    assert CancelCheck("a", table)() == ""


def test_what_was_cancelled_stays_cancelled():
    table = CancelTable()
    table.add("a", "enough")
    check = CancelCheck("a", table)
    assert check() == "enough"
    table.keep({})
    table.add("b", "")
    assert check() == "enough"


def test_outside_of_a_worker_nothing_is_cancelled():
    assert CancelCheck("a", None)() is None
