"""Whose question comes first, and for which there is no room."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress.sidecar.liveness import pending_lookups
from celery_wsprogress.sidecar.liveness.pending_lookups import PendingLookups, Urgency


def answer(name):
    def answered(result):
        return name, result

    return answered


def names(answers):
    return [one(None)[0] for one in answers]


def drain(queue):
    found = []
    while (taken := queue.pop()) is not None:
        found.append(taken[0])
    return found


def test_an_empty_queue_has_no_next():
    queue = PendingLookups()
    assert not queue
    assert queue.pop() is None


def test_the_sidecar_s_own_questions_come_first():
    queue = PendingLookups()
    for number in range(50):
        queue.add_for_client("mallory", f"unknown {number}", answer("client"))
    queue.add("waiting", answer("waiting"), Urgency.WAITING)
    queue.add("silent", answer("silent"), Urgency.SILENT)
    assert queue
    assert drain(queue)[:3] == ["silent", "waiting", "unknown 0"]
    assert not queue


def test_an_id_is_asked_once_for_everybody():
    queue = PendingLookups()
    for client in ("alice", "bob"):
        assert queue.add_for_client(client, "one", answer(client))
    queue.add("one", answer("silent"), Urgency.SILENT)
    queue.add("one", answer("again"), Urgency.SILENT)
    queue.add("one", answer("waiting"), Urgency.WAITING)
    task_id, answers = queue.pop()
    assert (task_id, names(answers)) == ("one", ["silent", "waiting", "bob"])
    assert not queue


def test_clients_take_turns():
    queue = PendingLookups()
    for number in range(3):
        queue.add_for_client("mallory", f"m{number}", answer("m"))
    queue.add_for_client("alice", "a0", answer("a"))
    queue.add_for_client("alice", "a1", answer("a"))
    assert drain(queue) == ["m0", "a0", "m1", "a1", "m2"]


def test_one_client_has_a_bounded_number():
    queue = PendingLookups(max_client_lookups=2)
    taken = [queue.add_for_client("mallory", f"m{n}", answer("m")) for n in (0, 1, 1, 2)]
    assert taken == [True, True, True, False]
    assert queue.refused == 1
    assert drain(queue) == ["m0", "m1"]


def test_a_full_queue_gives_a_place_of_whoever_has_most_to_whoever_has_less():
    queue = PendingLookups(max_lookups=4)
    for number in range(4):
        assert queue.add_for_client("mallory", f"m{number}", answer("m"))
    assert not queue.add_for_client("mallory", "m4", answer("m"))
    assert queue.add_for_client("alice", "a0", answer("a"))
    assert queue.add_for_client("alice", "a1", answer("a"))
    # Both have as many now.
    assert not queue.add_for_client("alice", "a2", answer("a"))
    assert queue.refused == 4
    assert drain(queue) == ["m0", "a0", "m1", "a1"]


def test_the_questions_of_a_client_that_is_gone_are_dropped_but_not_those_of_others():
    queue = PendingLookups()
    for client, unknown in (("gone", "g"), ("gone", "both"), ("alice", "both")):
        queue.add_for_client(client, unknown, answer(client))
    queue.forget("gone")
    queue.forget("nobody")
    assert drain(queue) == ["both"]


def test_the_sidecar_s_own_questions_are_bounded_too(monkeypatch):
    monkeypatch.setattr(pending_lookups, "MAX_WAITING", 1)
    queue = PendingLookups()
    assert queue.add("one", answer("one"), Urgency.SILENT)
    assert queue.add("one", answer("one"), Urgency.SILENT)
    assert not queue.add("two", answer("two"), Urgency.SILENT)
    assert queue.add("two", answer("two"), Urgency.WAITING)
    assert drain(queue) == ["one", "two"]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abc"), st.integers(0, 9)),
        st.sampled_from(["pop", "gone a", "silent"]),
    )
)


@given(STEPS)
def test_it_holds_what_it_says_and_no_more(steps):
    queue, held = PendingLookups(max_lookups=5, max_client_lookups=3), 0
    for step in steps:
        if step == "pop":
            queue.pop()
        elif step == "gone a":
            queue.forget("a")
        elif step == "silent":
            queue.add("5", answer("own"), Urgency.SILENT)
        else:
            client, number = step
            held += queue.add_for_client(client, str(number), answer(client))
    left = drain(queue)
    assert len(left) == len(set(left)) <= 6
    assert len(left) <= held + 1
    assert not queue


@pytest.mark.parametrize("noise", [0, 5_000])
def test_who_asks_little_waits_as_long_beside_one_who_asks_much(noise):
    queue = PendingLookups()
    for number in range(noise):
        queue.add_for_client("mallory", f"m{number}", answer("m"))
    queue.add_for_client("alice", "hers", answer("a"))
    assert drain(queue).index("hers") <= 1
