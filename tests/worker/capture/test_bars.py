"""Which bar is the progress of which run, whatever shows it."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.trackers import make_tracker

from celery_wsprogress.worker import context
from celery_wsprogress.worker.capture.bars import Bar, BarCapture, add_run, find_capture
from celery_wsprogress.worker.publishing import encoded_events


def elsewhere(function):
    """What it returns in a thread without this context."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_nothing_captures_outside_a_block(tracker):
    assert find_capture() is None
    with BarCapture(tracker) as block:
        assert find_capture() is block
        assert elsewhere(find_capture) is None
    assert find_capture() is None


def test_the_block_inside_counts(tracker):
    with BarCapture(tracker) as outer:
        with BarCapture(tracker) as inner:
            assert find_capture() is inner
        assert find_capture() is outer


def test_a_run_can_be_captured_as_a_whole(tracker):
    add_run(tracker)
    assert find_capture().tracker is tracker
    assert elsewhere(find_capture) is None
    tracker.end(encoded_events.completed(tracker.run, 0.0))
    assert find_capture() is None


def test_a_run_inside_is_its_own(tracker, new_tracker):
    inner = new_tracker("op-2", tracker)
    with BarCapture(tracker):
        token = context.current_tracker.set(inner)
        assert find_capture() is None
        add_run(inner)
        assert find_capture().tracker is inner
        context.current_tracker.reset(token)
        assert find_capture().tracker is tracker


def test_a_thread_without_a_context_may_have_a_block_of_its_own(tracker):
    def found():
        with BarCapture(tracker):
            return find_capture().tracker

    assert elsewhere(found) is tracker


def test_a_block_without_a_run_captures_nothing(tracker):
    with BarCapture(tracker), BarCapture(None):
        assert find_capture() is None


def test_the_outermost_open_bar_is_the_progress(tracker, sink):
    with BarCapture(tracker) as block:
        outer, inner = Bar(block), Bar(block)
        inner.report("inner", 1, 2)
        assert sink.shown == []
        outer.report("outer", 1, 2, "files")
        assert sink.shown == [("outer", 1, 2, "files")]
        outer.close()
        inner.report("inner", 1, 2)
        assert sink.last.message == "inner"
        outer.open()
        outer.report("outer", 2, 2)
        assert sink.last.message == "inner"


def test_what_is_the_same_is_reported_once(tracker, sink):
    with BarCapture(tracker) as block:
        bar = Bar(block)
        for _ in range(3):
            bar.report("bar", 1, 2)
    assert len(sink.shown) == 1


def test_a_bar_that_outlasts_its_block_is_not_captured(tracker, sink):
    with BarCapture(tracker) as outer:
        with BarCapture(tracker) as inner:
            left = Bar(inner)
            left.report("left", 1, 2)
        left.report("left", 2, 2)
        assert [one.current for one in sink.shown] == [1]
        Bar(outer).report("next", 1, 2)
        assert sink.last.message == "next"
        left.close()


def test_a_block_may_be_entered_again(tracker, sink):
    block = BarCapture(tracker)
    for number in (1, 2):
        with block:
            Bar(block).report("bar", number, 2)
    assert [one.current for one in sink.shown] == [1, 2]


def test_after_the_end_nothing_is_reported(tracker, sink, caplog):
    with BarCapture(tracker) as block:
        bar = Bar(block)
        tracker.end(encoded_events.completed(tracker.run, 0.0))
        bar.report("late", 1, 2)
        bar.close()
    assert sink.shown == []
    assert caplog.text == ""


def test_a_bar_keeps_no_run_alive(new_tracker):
    tracker = new_tracker()
    block = BarCapture(tracker)
    block.active = True
    bar = Bar(block)
    del tracker
    assert block.tracker is None
    bar.report("late", 1, 2)
    bar.close()


def test_a_bar_is_due_when_it_was_not_read_just_before(tracker, monkeypatch):
    now = [10.0]
    monkeypatch.setattr("celery_wsprogress.worker.capture.bars.monotonic", lambda: now[0])
    bar = Bar(BarCapture(tracker))
    assert [bar.is_due(), bar.is_due()] == [True, False]
    now[0] += 0.01
    assert bar.is_due()


@pytest.mark.parametrize(
    ("current", "total", "shown"),
    [
        (3, 10, (3, 10)),
        (3.0, 10.0, (3, 10)),
        (2.5, 10.0, (2.5, 10)),
        (11, 10, (11, None)),
        (3, None, (3, None)),
        (3, 0, (3, None)),
        (-1, 10, (0, 10)),
    ],
)
def test_the_numbers_are_those_of_the_bar(tracker, caplog, current, total, shown):
    with BarCapture(tracker) as block:
        Bar(block).report("bar", current, total)
    assert tracker.sink.last[1:3] == shown
    assert caplog.text == ""


@given(st.lists(st.tuples(st.sampled_from(["make", "close", "report"]), st.integers(0, 5))))
def test_the_reports_are_of_the_bar_that_is_open_longest(moves):
    tracker = make_tracker()
    made, still_open = [], []
    with BarCapture(tracker) as block:
        for count, (move, which) in enumerate(moves):
            if move == "make":
                made.append(Bar(block))
                still_open.append(made[-1])
            elif which < len(made):
                bar, before = made[which], len(tracker.sink.shown)
                if move == "close":
                    bar.close()
                    still_open = [one for one in still_open if one is not bar]
                else:
                    bar.report("bar", count, None)
                    expected = still_open[:1] == [bar]
                    assert (len(tracker.sink.shown) > before) == expected
