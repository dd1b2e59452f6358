from __future__ import annotations

import threading

import pytest
from support.conditions import eventually

from celery_wsprogress.worker.publishing import encoded_events, lookups
from celery_wsprogress.worker.publishing.lookups import MAX_THREADS, Lookup, LookupQueue
from celery_wsprogress.worker.run_info import RunInfo

RUN = RunInfo("op-1", "tasks.demo", "r1")


def line(text):
    return encoded_events.log(RUN, 0.0, "info", text, {})


@pytest.fixture
def said():
    return []


@pytest.fixture
def gate():
    gate = threading.Event()
    yield gate
    gate.set()


def lookup(answer, gate=None):
    def ask():
        assert gate is None or gate.wait(60)
        return [line(answer)]

    return Lookup(ask, lambda: [line(f"no {answer}")])


def test_each_question_has_one_answer(said):
    queue = LookupQueue(said.extend)
    for n in range(100):
        assert queue.submit(lookup(f"{n}"), 0.0) == ()
    eventually(lambda: not queue)
    assert queue.next_due is None
    eventually(lambda: len(said) == 100)
    assert len({report.event for report in said}) == 100


def test_an_answer_that_comes_too_late_is_nobodys(said, gate):
    queue = LookupQueue(said.extend, timeout=10.0)
    queue.submit(lookup("late", gate), 5.0)
    assert queue.next_due == 15.0
    assert queue.expire(14.9) == []
    assert queue.expire(15.0) == [line("no late")]
    assert not queue
    gate.set()
    eventually(lambda: queue._threads == 0)
    assert said == []


def test_a_question_that_fails_is_answered_without(said, caplog):
    queue = LookupQueue(said.extend)
    queue.submit(Lookup(lambda: [1 / 0], lambda: [line("none")]), 0.0)
    eventually(lambda: said == [line("none")])
    assert "a lookup failed" in caplog.text


def test_at_the_end_of_a_program_nobody_is_there_to_ask(said, monkeypatch):
    """Python 3.12 starts no thread any more while it calls what is registered with `atexit`."""

    def start(_):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    queue = LookupQueue(said.extend)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        assert queue.submit(lookup("last"), 0.0) == [line("no last")]
    assert not queue
    queue.submit(lookup("next"), 0.0)
    eventually(lambda: said == [line("next")])


def test_few_are_asked_at_once_and_no_more_wait_than_may(said, gate, monkeypatch):
    monkeypatch.setattr(lookups, "MAX_LOOKUPS", 20)
    queue = LookupQueue(said.extend)
    refused = [queue.submit(lookup(f"{n}", gate), 0.0) for n in range(25)]
    assert [len(one) for one in refused] == [0] * 20 + [1] * 5
    assert queue._threads == MAX_THREADS
    gate.set()
    eventually(lambda: len(said) == 20)


def test_what_hangs_holds_the_others_up_only_until_their_time(said, gate):
    queue = LookupQueue(said.extend, timeout=10.0)
    for _ in range(MAX_THREADS):
        queue.submit(lookup("stuck", gate), 0.0)
    queue.submit(lookup("behind", gate), 5.0)
    assert len(queue.expire(10.0)) == MAX_THREADS
    assert queue.next_due == 15.0
    assert queue.expire(15.0) == [line("no behind")]
    gate.set()
    queue.submit(lookup("after"), 20.0)
    eventually(lambda: said == [line("after")])
