from __future__ import annotations

import contextvars
import logging
import threading
from decimal import Decimal

import msgspec
import pytest

from celery_wsprogress import log, update_progress, update_status
from celery_wsprogress.protocol.events import Event
from celery_wsprogress.worker import context
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.tracker import Tracker

RUN = RunInfo("op-1", "tasks.demo", "r1", metadata={"file": "a.csv"})


def decoded(report):
    return msgspec.json.decode(report.event, type=Event)


class Ear:
    """An outlet that fetches a value whenever it is told to, and keeps what it hears."""

    def __init__(self):
        self.offers = 0
        self.events = []
        self._waiting = None

    def schedule(self, slot):
        self.offers += 1
        slot.due = 0.0
        self._waiting = slot

    def emit(self, said, *, after=None):
        if after is not None:
            self.fetch()
        self.events += [decoded(report) for report in said]

    def fetch(self):
        slot, self._waiting = self._waiting, None
        if slot is not None:
            slot.due = None
            report = slot.take()
            if report is not None:
                self.events.append(decoded(report))

    @property
    def last(self):
        return self.events[-1].data


@pytest.fixture
def ear():
    return Ear()


@pytest.fixture
def tracker(ear):
    """A tracker that is the current one."""
    tracker = Tracker(RUN, ear)
    token = context.current_tracker.set(tracker)
    yield tracker
    context.current_tracker.reset(token)


def test_the_newest_value_replaces_the_one_before(tracker, ear):
    for n in range(100):
        tracker.update_progress(n / 100, f"step {n}")
    assert ear.offers == 1
    ear.fetch()
    assert [(e.data.progress, e.data.message) for e in ear.events] == [(0.99, "step 99")]
    tracker.update_progress(1.0)
    ear.fetch()
    assert ear.last.progress == 1.0


def test_a_value_is_given_once(tracker, ear):
    tracker.update_progress(0.5)
    assert tracker.slot.take() is not None
    assert tracker.slot.take() is None


def test_numbers_units_and_details(tracker, ear):
    tracker.update_progress(
        message=KeyError("x"), current=3, total=4, unit="files", details={"n": Decimal("1.5")}
    )
    ear.fetch()
    data = ear.last
    assert (data.progress, data.current, data.total, data.unit) == (0.75, 3, 4, "files")
    assert (data.message, data.details) == ("'x'", {"n": "1.5"})


def test_details_are_those_of_the_moment(tracker, ear):
    details = {"seen": [1]}
    tracker.update_progress(0.5, details=details)
    details["seen"].append(2)
    ear.fetch()
    assert ear.last.details == {"seen": [1]}


def test_indeterminate_repeats_the_last_fraction(tracker, ear):
    tracker.update_progress(0.3)
    tracker.update_progress(message="looking")
    ear.fetch()
    assert ear.last.progress == 0.3
    assert ear.last.indeterminate is True


def test_rate_and_time_left(tracker, ear, monkeypatch):
    clock, wall = iter([100.0, 101.0, 102.0]), iter([9_000.0, 5_000.0, 7_000.0])
    monkeypatch.setattr("celery_wsprogress.worker.tracker.monotonic", lambda: next(clock))
    # Somebody sets it meanwhile.
    monkeypatch.setattr("celery_wsprogress.worker.tracker.time", lambda: next(wall))
    for n in (0, 2, 4):
        tracker.update_progress(current=n, total=10)
        ear.fetch()
    assert ear.last.rate == pytest.approx(2.0)
    assert ear.last.eta == pytest.approx(3.0)


def test_a_status_comes_behind_the_progress_before_it(tracker, ear):
    tracker.update_progress(0.5)
    tracker.update_status("uploading", "to the mirror", {"n": 1})
    assert [type(e).__name__ for e in ear.events] == ["Progress", "Status"]
    assert (ear.last.status, ear.last.message, ear.last.details) == (
        "uploading", "to the mirror", {"n": 1},
    )  # fmt: skip


def test_words_of_the_life_cycle_are_only_labels(tracker, ear, caplog):
    tracker.update_status("retrying")
    assert ear.last.status == "Retrying"
    assert "'retrying' is a word of the life cycle" in caplog.text


def test_an_empty_word_says_nothing(tracker, ear, caplog):
    tracker.update_status("  ")
    assert ear.events == []
    assert "update_status() needs a word" in caplog.text


def test_metadata_grows_and_leaves_the_rest_as_it_was(tracker, ear):
    tracker.update_progress(0.5, "half", details={"n": 1})
    tracker.set_metadata(rows=3)
    assert ear.last.status == "running"
    assert (ear.last.message, ear.last.details) == ("half", {"n": 1})
    assert ear.last.metadata == {"file": "a.csv", "rows": 3}
    tracker.update_status("uploading", "now")
    tracker.set_metadata(size=4)
    assert (ear.last.status, ear.last.message) == ("uploading", "now")
    assert ear.last.metadata == {"file": "a.csv", "rows": 3, "size": 4}


def test_log_lines(tracker, ear, caplog):
    tracker.log(logging.WARNING, "slow", speed=3)
    assert (ear.last.level, ear.last.message, ear.last.details) == ("warning", "slow", {"speed": 3})
    tracker.log(level="loud", message="?")
    tracker.log("loud", "?")
    assert ear.last.level == "info"
    assert caplog.text.count("'loud' is no log level") == 1


def test_advice_is_given_once_a_run(tracker, ear, caplog):
    for _ in range(3):
        tracker.update_progress(50)
        tracker.update_progress(3, 10)
    assert caplog.text.count("update_progress(0.5)") == 1
    assert caplog.text.count("update_progress(current=3, total=10)") == 1
    assert "tasks.demo" in caplog.text
    ear.fetch()
    assert (ear.last.progress, ear.last.message) == (1.0, "10")


def test_nothing_is_said_after_the_end(tracker, ear, caplog):
    tracker.update_progress(0.9)
    tracker.end(encoded_events.completed(RUN, 0.0))
    tracker.end(encoded_events.failed(RUN, 0.0, "no", "ValueError"))
    tracker.update_progress(1.0)
    tracker.update_status("late")
    tracker.log("info", "late")
    assert [type(e).__name__ for e in ear.events] == ["Progress", "Completed"]
    assert ear.offers == 1
    assert caplog.text.count("what is reported after the end") == 1


def test_a_silent_tracker_checks_its_arguments():
    tracker = Tracker(RUN, None)
    tracker.update_progress(0.5)
    tracker.update_status("word")
    tracker.log("info", "line")
    tracker.end(encoded_events.completed(RUN, 0.0))
    with pytest.raises(TypeError):
        tracker.update_progress("half")


# Code that has no self.


def test_functions_find_the_current_run(tracker, ear):
    update_progress(0.5, "half")
    update_status("word")
    log("info", "line", n=1)
    assert [type(e).__name__ for e in ear.events] == ["Progress", "Status", "Log"]


def test_functions_find_it_from_a_thread_with_a_copied_context(tracker, ear):
    context = contextvars.copy_context()
    threads = [
        threading.Thread(target=context.run, args=(log, "info", "copied")),
        threading.Thread(target=log, args=("info", "not copied")),
    ]
    for thread in threads:
        thread.start()
        thread.join()
    assert [e.data.message for e in ear.events] == ["copied"]


def test_functions_do_nothing_outside_a_task():
    assert context.current_tracker.get() is None
    update_progress(0.5)
    update_status("word")
    log("info", "line")
    context.set_metadata(a=1)
    with pytest.raises(TypeError):
        update_progress(current="3")


class Mute:
    """Whatever is asked of it, it raises."""

    def _raise(self, *_args):
        raise RuntimeError

    __str__ = __repr__ = __bool__ = __len__ = __eq__ = __iter__ = __format__ = _raise
    __hash__ = None


class OddLevel(int):
    def __ge__(self, other):
        raise RuntimeError


def test_nothing_that_is_said_can_fail_the_task(tracker, ear, caplog):
    mute = Mute()
    tracker.log(mute, mute, value=mute)
    tracker.log(OddLevel(30), mute)
    tracker.update_status(mute, mute, mute)
    tracker.update_progress(0.5, mute, unit=mute, details=mute)
    tracker.set_metadata(value=mute)
    tracker.update_progress(2.0, mute)
    tracker.slot.take()
    said = [e.data.level for e in ear.events if type(e).__name__ == "Log"]
    assert said == ["info", "warning"]
    assert "'… [unprintable Mute]' is no log level" in caplog.text


def test_a_unit_is_looked_at_in_the_threads_of_the_task(tracker, ear):
    """The flusher is another thread, and must not run the user's code."""

    class Unit:
        def __str__(self):
            return threading.current_thread().name

    tracker.update_progress(0.5, unit=Unit())
    thread = threading.Thread(target=ear.fetch)
    thread.start()
    thread.join()
    assert ear.last.unit == threading.current_thread().name
