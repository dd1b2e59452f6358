"""``track()``: every kind of loop, and how far it is."""

from __future__ import annotations

import gc
import threading
from contextlib import aclosing, suppress

import pytest
from support import asyncio_runner
from support.heard import running

import celery_wsprogress
from celery_wsprogress import operation, track, update_progress, update_status
from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.tracker import Tracker


def counts(heard):
    return [(one.get("current"), one.get("total")) for one in heard.progress]


def test_each_item_is_counted_and_the_last_one_is_said():
    with running() as (_, heard):
        rows = [object() for _ in range(4)]
        assert [row for row in track(rows, "Importing", unit="rows")] == rows  # noqa: C416
    assert counts(heard) == [(n, 4) for n in (0, 1, 2, 3, 4, 4)]
    assert heard.fractions == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert {one["message"] for one in heard.progress} == {"Importing"}
    assert {one["unit"] for one in heard.progress} == {"rows"}
    assert not any("indeterminate" in one or one["details"] for one in heard.progress)


def test_while_a_value_waits_an_item_is_only_counted():
    with running(waits=True) as (tracker, heard):
        for number in track(range(100)):
            if number == 42:
                heard.fetch(tracker.slot)
        heard.fetch(tracker.slot)
    assert counts(heard) == [(42, 100), (100, 100)]
    assert heard.scheduled == 2


def test_without_a_length_the_items_are_counted():
    with running() as (_, heard):
        for row in track((row for row in "abc"), total=None):
            assert row
            if row == "b":
                break
    assert counts(heard)[-1] == (1, None)
    assert all(one["indeterminate"] for one in heard.progress)


class Hinted:
    def __iter__(self):
        return iter("ab")

    def __length_hint__(self):
        return 4


class Broken:
    def __iter__(self):
        return iter("ab")

    def __len__(self):
        raise ValueError("no length today")


@pytest.mark.parametrize(
    ("iterable", "total", "first", "last"),
    [
        ("ab", None, 2, 2),
        (Hinted(), None, 4, 2),
        (Hinted(), 8, 8, 2),
        (iter("ab"), 2, 2, 2),
        ("ab", 1, 1, 2),
        (iter("ab"), 2.5, 2.5, 2),
        (Broken(), None, None, None),
        ((row for row in "ab"), 0, None, None),
        ((row for row in "ab"), -1, None, None),
        (iter("ab"), float("nan"), None, None),
        ("", None, None, None),
    ],
)
def test_the_total(iterable, total, first, last):
    with running() as (_, heard):
        list(track(iterable, total=total))
    totals = [found for _, found in counts(heard)]
    assert (totals[0], totals[-1]) == (first, last)


@pytest.mark.parametrize("total", ["3", True, [3]])
def test_a_total_that_is_no_number(total):
    with pytest.raises(TypeError, match="total"):
        track([], total=total)


def test_what_cannot_be_iterated_says_so():
    with running(), pytest.raises(TypeError):
        list(track(3))
    with running(), pytest.raises(TypeError):
        aiter(track([3]))


def leave_in_the_body(rows):
    for row in track(rows):
        if row == 3:
            raise KeyError(row)


def test_a_loop_that_is_left_says_how_far_it_came():
    with running() as (tracker, heard):
        with pytest.raises(KeyError):
            leave_in_the_body(row for row in range(10))
        assert counts(heard)[-1] == (3, None)
        tracker.update_progress(0.9)
        assert heard.last["progress"] == 0.9
        assert "current" not in heard.last


def test_a_generator_whose_loop_is_left_goes_on_as_without_track():
    """As of a file whose first lines are its head."""
    closed = []

    def rows():
        try:
            yield from range(5)
        finally:
            closed.append(True)

    source = rows()
    with running():
        for row in track(source):
            if row == 1:
                break
        assert list(track(source)) == [2, 3, 4]
        closed.clear()
        for _ in track(rows()):
            break
        gc.collect()
        assert closed == [True]


def test_an_exception_of_the_iterable_passes_through():
    def rows():
        yield 1
        raise KeyError("row")

    with running() as (_, heard), pytest.raises(KeyError, match="row"):
        list(track(rows(), total=4))
    assert counts(heard)[-1] == (1, 4)


def test_outside_of_a_run_it_only_iterates():
    source = iter("ab")
    assert list(track(source)) == ["a", "b"]

    async def walk():
        return [row async for row in track(rows_of("ab"))]

    assert asyncio_runner.run(walk()) == ["a", "b"]


def test_a_run_that_is_not_followed_counts_without_reports():
    tracker = Tracker(RunInfo("op", "tasks.demo", "r"), None)
    celery_wsprogress.worker.context.enter(tracker)
    try:
        assert list(track(range(3))) == [0, 1, 2]
    finally:
        celery_wsprogress.worker.context.leave(tracker)
    assert b'"current":3,"total":3' in tracker.slot.take().event


def test_after_the_end_it_goes_on_and_says_nothing():
    with running() as (tracker, heard):
        tracker.end()
        said = len(heard.progress)
        assert list(track(range(3))) == [0, 1, 2]
        assert len(heard.progress) == said


# Loops and reports inside a loop.


def test_a_loop_in_a_loop_is_within_its_item():
    with running() as (_, heard):
        for _ in track("ab", "Files", unit="files"):
            for _ in track(range(2), unit="rows"):
                pass
    assert sorted(heard.fractions) == heard.fractions
    assert {0.25, 0.5, 0.75, 1.0} <= set(heard.fractions)
    assert {(one["total"], one["unit"]) for one in heard.progress} == {(2, "files")}


def test_a_report_in_a_loop_is_within_its_item():
    with running() as (_, heard):
        for row in track("ab", "Importing"):
            update_progress(0.5, f"row {row}")
    said = [(one["progress"], one["message"], one["current"]) for one in heard.progress]
    assert (0.25, "row a", 0) in said
    assert (0.75, "row b", 1) in said
    assert heard.fractions == sorted(heard.fractions)


def test_a_message_in_a_loop_leaves_the_numbers():
    with running() as (_, heard):
        for row in track("ab"):
            update_progress(message=row)
    assert [(one["message"], one["progress"]) for one in heard.progress][1] == ("a", 0.0)
    assert heard.last["message"] == "b"
    assert not any("indeterminate" in one for one in heard.progress)
    assert set(counts(heard)) == {(0, 2), (1, 2), (2, 2)}


def test_a_report_in_a_loop_without_a_length_stays_indeterminate():
    with running() as (_, heard):
        for _ in track(row for row in "ab"):
            update_progress(0.5)
    assert {one["progress"] for one in heard.progress} == {0.0}
    assert all(one["indeterminate"] for one in heard.progress)


def test_one_loop_after_another_begins_anew():
    with running() as (_, heard):
        list(track(range(2)))
        list(track(range(4)))
    assert counts(heard)[-1] == (4, 4)
    assert heard.fractions.count(0.0) == 2


def test_loops_that_feed_each_other_end_in_any_order():
    with running() as (_, heard):
        rows = track("abc")
        assert len(list(zip(rows, track("abcd"), strict=False))) == 3
        assert len(list(track(character for character in track("abc")))) == 3
        update_progress(0.5)
    assert heard.last["progress"] == 0.5
    assert "current" not in heard.last


def test_a_status_in_a_loop_has_no_phases():
    with running() as (_, heard):
        for _ in track("a"):
            update_status("uploading")
    assert heard.others[0]["data"]["details"] == {}


# Threads and coroutines.


@pytest.mark.parametrize("knows", [True, False], ids=["with its context", "without"])
def test_loops_of_threads_add_up(knows):
    import contextvars

    both_run = threading.Barrier(2)

    def work(owner):
        for number in owner.track(range(10), unit="rows"):
            if number == 5:
                both_run.wait(60)

    with running() as (tracker, heard):
        owner = Owner(tracker)
        threads = [
            threading.Thread(
                target=contextvars.copy_context().run if knows else work,
                args=(work, owner) if knows else (owner,),
            )
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        update_status("over")
    assert counts(heard)[-1] == (20, 20)
    assert heard.last["unit"] == "rows"


class Owner(celery_wsprogress.worker.track_methods.TrackMethods):
    def __init__(self, tracker):
        self._tracker = tracker

    def _reporting_tracker(self):
        return self._tracker


def elsewhere(function, *arguments):
    thread = threading.Thread(target=function, args=arguments)
    thread.start()
    thread.join()


def test_a_thread_without_the_context_reports_within_the_item_if_it_is_clear_which():
    with running() as (tracker, heard):
        for _ in track(range(2)):
            elsewhere(tracker.update_progress, 0.5)
            break
        assert heard.fractions[:2] == [0.0, 0.25]
        first, second = (iter(Owner(tracker).track(range(2))) for _ in range(2))
        elsewhere(next, first)
        elsewhere(next, second)
        elsewhere(tracker.update_progress, 0.5, "whose?")
        assert (heard.last["progress"], heard.last["message"]) == (0.0, "whose?")
        first.close()
        second.close()


async def rows_of(rows, closed=None):
    try:
        for row in rows:
            yield row
    finally:
        if closed is not None:
            closed.append(True)


def test_an_asynchronous_loop():
    async def walk():
        return [row async for row in track(rows_of("abc"), "Reading", total=3)]

    with running() as (_, heard):
        assert asyncio_runner.run(walk()) == ["a", "b", "c"]
    assert counts(heard) == [(n, 3) for n in (0, 1, 2, 3, 3)]


def test_an_asynchronous_loop_that_is_over_counts_no_further():
    async def walk():
        rows = aiter(track(rows_of("a"), total=1))
        return [await anext(rows, "end") for _ in range(4)]

    with running() as (_, heard):
        assert asyncio_runner.run(walk()) == ["a", "end", "end", "end"]
        update_status("over")
    assert counts(heard)[-1] == (1, 1)


def test_an_asynchronous_loop_that_is_left_says_how_far_it_came():
    async def leave():
        async for row in track(rows_of("abc"), total=3):
            if row == "b":
                raise KeyError

    async def leave_and_close(closed):
        async with aclosing(aiter(track(rows_of("abc", closed), total=3))) as rows:
            async for _ in rows:
                break

    async def fail():
        async def rows():
            yield 1
            raise KeyError

        async for _ in track(rows(), total=3):
            pass

    with running() as (_, heard):
        for work in (leave, fail):
            with suppress(KeyError):
                asyncio_runner.run(work())
            assert counts(heard)[-1] == (1, 3)
        closed = []
        asyncio_runner.run(leave_and_close(closed))
        assert counts(heard)[-1] == (0, 3)
        assert closed == [True]


def test_coroutines_add_up():
    import asyncio

    async def walk(both_run):
        async for row in track(rows_of("abc"), total=3):
            if row == "b":
                await both_run.wait()

    async def gather():
        both_run = asyncio.Barrier(2)
        await asyncio.gather(walk(both_run), walk(both_run))

    with running() as (_, heard):
        asyncio_runner.run(gather())
    assert counts(heard)[-1] == (6, 6)


def test_an_operation_tracks_too():
    with operation("import") as op:
        assert list(op.track("ab")) == ["a", "b"]
