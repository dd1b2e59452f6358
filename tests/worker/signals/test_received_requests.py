from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.worker.signals import received_requests as module
from celery_wsprogress.worker.signals.received_requests import ReceivedRequests


class Request:
    def __init__(self, task_id):
        self.id = task_id


def test_a_request_is_found_while_it_lives():
    requests = ReceivedRequests()
    assert not requests
    first, second = Request("1"), Request("2")
    requests.add(first)
    requests.add(second)
    assert requests.get("1") is first
    assert requests.get("3") is None
    del first
    assert requests.get("1") is None
    assert requests
    del second
    assert not requests


def test_one_that_is_delivered_again_takes_the_place_of_the_first():
    requests = ReceivedRequests()
    first, again = Request("1"), Request("1")
    requests.add(first)
    requests.add(again)
    del first
    assert requests.get("1") is again


@given(st.lists(st.integers(0, 3)))
def test_who_is_gone_is_forgotten_and_nobody_else(rounds):
    requests, living, number = ReceivedRequests(), [], 0
    for kept in rounds:
        for _ in range(100):
            number += 1
            one = Request(str(number))
            requests.add(one)
            if number % 4 < kept:
                living.append(one)
        del one
        assert len(requests._by_id) <= 2 * len(living) + module.MIN_SWEEP_SIZE + 1
    assert all(requests.get(one.id) is one for one in living)
    assert bool(requests) == bool(living)
