"""``phase()`` and ``phases()``: the share of each part of the code."""

from __future__ import annotations

import contextvars
import threading
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.heard import running

from celery_wsprogress import phase, phases, steps, track, update_progress, update_status
from celery_wsprogress.protocol import jsonable
from celery_wsprogress.worker.bar import MAX_SHOWN
from celery_wsprogress.worker.context import set_metadata
from celery_wsprogress.worker.phases import PhaseBlock


def states(heard):
    return {one["name"]: one["state"] for one in heard.last["details"]["phases"]}


def test_reports_are_within_the_share():
    with running() as (_, heard):
        with phase("Download", weight=0.2):
            update_progress(0.5)
            assert heard.last["progress"] == pytest.approx(0.1)
        with phase("Convert", weight=0.8):
            for _ in track(range(2)):
                pass
            assert heard.last["progress"] == pytest.approx(1.0)
    assert heard.fractions == sorted(heard.fractions)
    assert heard.last["details"]["phases"] == [
        {"name": "Download", "weight": 0.2, "state": "completed", "fraction": 1.0},
        {"name": "Convert", "weight": 0.8, "state": "completed", "fraction": 1.0},
    ]


def test_steps_and_counts_are_within_the_share():
    with running() as (_, heard), phase("Second half", weight=0.5):
        counter = steps(4)
        counter.step("one")
        assert (heard.last["current"], heard.last["total"]) == (1, 4)
        assert heard.last["progress"] == pytest.approx(0.125)
        update_progress(current=1, total=2)
        assert heard.last["progress"] == pytest.approx(0.25)


def test_the_name_is_the_message_until_there_is_another_one():
    with running() as (_, heard), phase("Download"):
        assert heard.last["message"] == "Download"
        update_progress(0.5, "a.zip")
        assert heard.last["message"] == "a.zip"


def test_declared_phases_wait():
    with running() as (_, heard):
        phases({"Download": 1, "Convert": 3})
        assert states(heard) == {"Download": "waiting", "Convert": "waiting"}
        with phase("Convert"):
            assert states(heard) == {"Download": "waiting", "Convert": "running"}
        assert heard.last["progress"] == pytest.approx(0.75)
        with phase("Download"):
            pass
        assert heard.last["progress"] == 1.0


def test_names_alone_share_equally():
    with running() as (_, heard):
        phases(["a", "b", "c", "d"])
    assert [one["weight"] for one in heard.last["details"]["phases"]] == [0.25] * 4


def test_a_phase_that_fails_stays_where_it_was():
    def work():
        with phase("Convert", weight=0.5):
            update_progress(0.5)
            raise KeyError

    with running() as (_, heard):
        with pytest.raises(KeyError):
            work()
        assert states(heard) == {"Convert": "error"}
        assert heard.last["progress"] == 0.25


def test_a_phase_in_a_phase():
    with running() as (_, heard):
        with phase("Outer", weight=0.5), phase("Inner", weight=0.5):
            update_progress(0.5)
        [found] = [one["details"]["phases"] for one in heard.progress if one["progress"] == 0.125]
        assert found == [
            {
                "name": "Outer",
                "weight": 0.5,
                "state": "running",
                "fraction": 0.25,
                "phases": [
                    {"name": "Inner", "weight": 0.5, "state": "running", "fraction": 0.5},
                ],
            }
        ]


def test_phases_of_each_item_are_within_the_item():
    with running() as (_, heard):
        for _ in track("ab"):
            with phase("Read", weight=0.5):
                pass
            with phase("Write", weight=0.5):
                pass
    assert {0.25, 0.5, 0.75, 1.0} <= set(heard.fractions)
    assert heard.fractions == sorted(heard.fractions)
    assert heard.last["details"] == {}


def test_a_loop_without_a_length_in_a_phase_is_not_indeterminate():
    with running() as (_, heard), phase("Collect", weight=0.5):
        list(track(row for row in "ab"))
        update_progress()
    assert not any("indeterminate" in one for one in heard.progress)


def test_statuses_show_the_phases_too():
    with running() as (_, heard), phase("Download", weight=0.5):
        update_status("uploading", details={"to": "a"})
        set_metadata(owner="me")
    first, second = (one["data"]["details"] for one in heard.others)
    assert first.keys() == {"to", "phases"}
    assert second["phases"][0]["name"] == "Download"


def test_what_was_said_before_is_not_undone():
    with running() as (_, heard):
        update_progress(0.4)
        with phase("Download", weight=0.2):
            pass
        assert heard.last["progress"] == 0.4
        with phase("Convert", weight=0.8):
            update_progress(0.5)
        update_progress(0.1, "over")
    assert heard.fractions == sorted(heard.fractions)


@pytest.mark.parametrize("weight", ["0.3", True])
def test_a_weight_that_is_no_number(weight):
    with pytest.raises(TypeError, match="weight"):
        phase("a", weight)
    with pytest.raises(TypeError, match="weight"):
        phases({"a": weight})


@pytest.mark.parametrize(("weight", "share"), [(30, 1.0), (-1, 0.0), (float("nan"), 0.0)])
def test_an_odd_weight_is_said_once(weight, share, caplog, monkeypatch):
    monkeypatch.setattr("celery_wsprogress.worker.phases._warned", set())
    with running() as (_, heard):
        for _ in range(2):
            with phase("a", weight):
                pass
        assert heard.last["details"]["phases"][0]["weight"] == share
    assert caplog.text.count("the weight of a phase") == 1


def test_outside_of_a_run_nothing_happens():
    phases(["a"])
    with phase("a") as one, one:
        update_progress(0.5)


def test_many_phases_with_long_names_fit_into_the_details():
    with running() as (_, heard):
        phases(["n" * 1000 + str(number) for number in range(2 * MAX_SHOWN)])
        update_progress(0.5, details={"text": "x" * 7_000})
        details = heard.last["details"]
        assert len(details["phases"]) == MAX_SHOWN
        assert details["truncated"]
        update_progress(0.5, details={"text": "x"})
        assert heard.last["details"]["text"] == "x"
    assert len(jsonable.to_text("n" * 1000, 100)) <= 100
    assert all(len(str(one["details"])) < jsonable.MAX_DETAILS_BYTES for one in heard.progress)


@pytest.mark.parametrize("knows", [True, False], ids=["with its context", "without"])
def test_threads_may_have_phases_of_their_own(knows):
    both_run = threading.Barrier(2)

    def work(tracker, name):
        with PhaseBlock(tracker, name, 0.5):
            both_run.wait(60)
            tracker.update_progress(0.5)
            both_run.wait(60)

    with running() as (tracker, heard):
        context = contextvars.copy_context() if knows else contextvars.Context()
        threads = [
            threading.Thread(target=context.copy().run, args=(work, tracker, name)) for name in "ab"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        update_status("over")
    assert heard.last["progress"] == 1.0
    assert states(heard) == {"a": "completed", "b": "completed"}
    assert 0.5 in heard.fractions


def test_a_thread_without_the_context_is_in_the_phase_that_runs():
    with running() as (tracker, heard), phase("Download", weight=0.5):
        thread = threading.Thread(target=tracker.update_progress, args=(0.5,))
        thread.start()
        thread.join()
        assert heard.last["progress"] == 0.25


def test_the_time_left_is_that_of_the_whole(monkeypatch):
    seconds = 100.0

    def now():
        nonlocal seconds
        seconds += 1.0
        return seconds

    monkeypatch.setattr("celery_wsprogress.worker.publishing.progress_slot.monotonic", now)
    with running() as (_, heard), phase("First", weight=0.1):
        for number in range(1, 4):
            update_progress(current=number, total=10)
        # A hundredth of all, a tenth of what is counted, a second.
        assert heard.last["rate"] == pytest.approx(1.0)
        assert heard.last["eta"] > 80


# Laws. A program is a tree of phases; its leaves are loops and reports.

leaves = st.one_of(
    st.tuples(st.just("track"), st.integers(1, 5)),
    st.tuples(st.just("report"), st.lists(st.floats(0, 1), min_size=1, max_size=4)),
)
programs = st.recursive(
    leaves,
    lambda inner: st.tuples(
        st.just("phases"),
        st.lists(st.tuples(st.integers(1, 9), st.booleans(), inner), min_size=1, max_size=4),
    ),
    max_leaves=12,
)


class _LeftError(Exception):
    pass


def leave(*, early):
    if early:
        raise _LeftError


def perform(program):
    """Do what it says."""
    kind, what = program
    if kind == "track":
        for _ in track(range(what)):
            pass
    elif kind == "report":
        for fraction in what:
            update_progress(fraction)
    else:
        phases({str(n): weight for n, (weight, _, _) in enumerate(what)})
        for n, (_, fails, inner) in enumerate(what):
            with suppress(_LeftError), phase(str(n)):
                perform(inner)
                leave(early=fails)


def model(program, start, share):
    """Every fraction that the bar has, and the last one; at first as far as nothing was done."""
    kind, what = program
    if kind == "track":
        return [start + share * n / what for n in range(what + 1)], share
    if kind == "report":
        done, found = 0.0, []
        for fraction in what:
            done = max(done, fraction)
            found.append(start + share * done)
        return found, share * done
    total, at, found = sum(weight for weight, _, _ in what), 0.0, []
    for weight, fails, inner in what:
        mine = share * weight / total
        inside, done = model(inner, start + at, mine)
        found += inside
        at += done if fails else mine
        found.append(start + at)
    return found, at


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans(), programs), min_size=1, max_size=4))
def test_the_bar_is_as_the_model_says(parts):
    program = ("phases", parts)
    with running() as (_, heard):
        perform(program)
    said = heard.fractions
    assert all(0.0 <= fraction <= 1.0 for fraction in said)
    assert all(before <= after for before, after in pairwise(said))
    expected, last = model(program, 0.0, 1.0)
    assert said[-1] == pytest.approx(last)
    said = iter([0.0, *said])
    for fraction in expected:
        assert any(one == pytest.approx(fraction) for one in said), fraction
    if not any(fails for _, fails, _ in parts):
        assert heard.last["progress"] == 1.0
