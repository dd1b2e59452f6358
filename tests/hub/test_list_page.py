"""A page of operations is made in steps, and whatever comes or goes meanwhile breaks nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub import list_page
from celery_wsprogress.hub.list_page import list_operations
from celery_wsprogress.hub.steps import take_all
from celery_wsprogress.hub.store import Limits, OperationStore


def filled(count, **limits):
    made = OperationStore(Limits(max_waiting=limits.pop("max_waiting", 10**6)))
    for number in range(count):
        made.touch(made.create(f"op-{number}", 0.0), 0.0)
    return made


def ids(page):
    return [one["operation_id"] for one in page["operations"]]


def steps_of(steps):
    return sum(1 for _ in steps)


def test_a_search_that_finds_nothing_looks_at_so_many_records_in_a_step():
    few, many = (filled(count * list_page.MAX_RECORDS_PER_STEP) for count in (2, 10))
    assert steps_of(list_operations(few, {"tag": "none"}, Permit(None), 0.0)) == 2
    assert steps_of(list_operations(many, {"tag": "none"}, Permit(None), 0.0)) == 10


def test_so_many_operations_are_added_in_a_step():
    held = filled(4 * list_page.MAX_ADDED_PER_STEP)
    assert steps_of(list_operations(held, {}, Permit(None), 0.0)) == 4 + 1


def test_operations_may_come_and_go_between_two_steps():
    held = filled(3 * list_page.MAX_RECORDS_PER_STEP)
    steps = list_operations(held, {"limit": 10, "operation_type": "new"}, Permit(None), 0.0)
    next(steps)
    oldest, *_ = held.oldest_first()
    oldest.operation.operation_type = "new"
    held.create("newest", 0.0).operation.operation_type = "new"
    page = take_all(steps)
    assert ids(page) == ["op-0"]
    assert page["next"] is None


@given(st.integers(0, 30), st.integers(1, 30), st.integers(1, 10))
def test_the_pages_show_each_operation_once_newest_first(count, held, limit):
    full = filled(count, max_waiting=held)
    seen, cursor = [], None
    while True:
        page = take_all(
            list_operations(full, {"limit": limit, "cursor": cursor}, Permit(None), 0.0)
        )
        seen += ids(page)
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [f"op-{one}" for one in reversed(range(max(0, count - held), count))]
