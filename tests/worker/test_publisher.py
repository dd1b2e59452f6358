from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from waiting import eventually

from celery_wsprogress import wire
from celery_wsprogress.settings import WorkerSettings
from celery_wsprogress.worker import publisher as module
from celery_wsprogress.worker import reports
from celery_wsprogress.worker.publisher import Publisher, drain_all
from celery_wsprogress.worker.runs import Run
from celery_wsprogress.worker.tracker import Tracker

RUN = Run("op-1", "tasks.demo", "r1")


class Log:
    """A log in memory; its writers may be held up or refused."""

    def __init__(self):
        self.batches = []
        self.threads = set()
        self.there = True
        self.open_gate = threading.Event()
        self.open_gate.set()

    def open_writer(self):
        self.threads.add(threading.current_thread().name)
        if not self.there:
            raise ConnectionError
        return self

    def publish(self, batch, *, confirm):
        self.threads.add(threading.current_thread().name)
        self.open_gate.wait(60)
        if not self.there:
            raise ConnectionError
        self.batches.append(wire.decode_batch(batch))

    def keep_alive(self):
        pass

    def close(self):
        pass

    @property
    def messages(self):
        return [getattr(e.data, "message", "") for batch in self.batches for e in batch.events]


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def publisher(log):
    publisher = Publisher(log.open_writer, "test://log", WorkerSettings(event_interval=0.001))
    yield publisher
    log.open_gate.set()
    publisher.close()


def line(text):
    return reports.log(RUN, 0.0, "info", text, {})


def test_nothing_runs_before_there_is_something_to_say(publisher, log):
    assert publisher.drain(0.0)
    assert log.threads == set()


def test_reports_arrive_in_their_order_whatever_thread_said_them(publisher, log):
    def speak(name):
        for n in range(200):
            publisher.emit([line(f"{name} {n}")])

    threads = [threading.Thread(target=speak, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert publisher.drain(30)
    for name in "abc":
        own = [said for said in log.messages if said.startswith(name)]
        assert own == [f"{name} {n}" for n in range(200)]
    assert [batch.counter for batch in log.batches] == list(range(1, len(log.batches) + 1))


def test_the_task_thread_never_touches_the_broker(publisher, log):
    tracker = Tracker(RUN, publisher)
    tracker.update_progress(0.5)
    tracker.log("info", "line")
    tracker.end(reports.completed(RUN, 0.0))
    assert publisher.drain(30)
    assert log.threads == {"celery-wsprogress"}


def test_the_task_thread_is_not_held_up_by_a_broker_that_hangs(publisher, log):
    log.open_gate.clear()
    publisher.emit([line("first")])
    eventually(lambda: log.threads)
    tracker = Tracker(RUN, publisher)
    for n in range(100):
        tracker.update_progress(n / 100)
        tracker.log("info", f"{n}")
    assert log.batches == []
    log.open_gate.set()
    assert publisher.drain(30)
    assert [said for said in log.messages if said] == ["first", *map(str, range(100))]


def test_the_last_progress_follows_by_itself(publisher, log):
    tracker = Tracker(RUN, publisher)
    for n in range(1, 11):
        tracker.update_progress(n / 10, "x")
    eventually(lambda: log.batches and log.batches[-1].events[-1].data.progress == 1.0)


def test_what_could_not_be_written_is_written_later(publisher, log, monkeypatch):
    monkeypatch.setattr("celery_wsprogress.worker.line.FIRST_PAUSE", 0.01)
    log.there = False
    publisher.emit([line("kept")])
    eventually(lambda: publisher._line.away)
    # Nobody waits for a broker that is known to be away.
    assert publisher.drain(1000) is False
    log.there = True
    eventually(lambda: log.messages == ["kept"])


def test_an_inquiry_is_made_by_the_flusher(publisher, log):
    asked = []

    def inquiry():
        asked.append(threading.current_thread().name)
        return [line("answer")]

    publisher.emit([line("before"), inquiry, line("after")])
    assert publisher.drain(30)
    assert log.messages == ["before", "answer", "after"]
    assert asked == ["celery-wsprogress"]


def test_an_inquiry_that_fails_holds_up_nothing(publisher, log, caplog):
    publisher.emit([lambda: 1 / 0, line("after")])
    assert publisher.drain(30)
    assert log.messages == ["after"]


def test_a_fault_of_ours_does_not_end_the_thread(publisher, log, monkeypatch, caplog):
    monkeypatch.setattr(module, "_KEEP_ALIVE", 0.01)
    publisher.emit([line("x")])
    real = publisher._buffer.take
    faults = iter([RuntimeError("ours")])

    def take(*args, **how):
        for fault in faults:
            raise fault
        return real(*args, **how)

    assert publisher.drain(30)
    monkeypatch.setattr(publisher._buffer, "take", take)
    publisher.emit([line("y")])
    eventually(lambda: "y" in log.messages)
    assert "unexpected error" in caplog.text


def test_drain_leaves_out_the_pacing(log):
    settings = WorkerSettings(event_interval=10, progress_interval=60)
    publisher = Publisher(log.open_writer, "test://log", settings)
    tracker = Tracker(RUN, publisher)
    publisher.emit([line("first")])
    assert publisher.drain(30)
    tracker.update_progress(0.1)
    publisher.drain(30)
    tracker.update_progress(0.2)
    publisher.emit([line("second")])
    drain_all(30)
    said = [getattr(e.data, "progress", 0) for batch in log.batches for e in batch.events]
    assert said == [0, 0.1, 0, 0.2]
    publisher.close()


def test_the_thread_ends_with_its_publisher(publisher, log):
    publisher.emit([line("x")])
    assert publisher.drain(30)
    thread = publisher._thread
    publisher.close()
    thread.join(30)
    assert not thread.is_alive()


def in_child(work):
    """Run this in a forked child; returns what it wrote, or fails when it hangs."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(read)
            os.write(write, repr(work()).encode())
        except BaseException as exc:
            os.write(write, repr(exc).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        timer = threading.Timer(30, lambda: os.kill(pid, signal.SIGKILL))
        timer.start()
        said = pipe.read().decode()
        timer.cancel()
    os.waitpid(pid, 0)
    return said


def test_a_child_starts_anew(publisher, log):
    """Its parent says what waited; the child has a name, a counter and a thread of its own."""
    tracker = Tracker(RUN, publisher)
    log.open_gate.clear()
    publisher.emit([line("parent 1")])
    eventually(lambda: log.threads)
    publisher.emit([line("parent 2")])
    tracker.update_progress(0.5)

    def work():
        log.open_gate = threading.Event()
        log.open_gate.set()
        tracker.update_progress(0.7)
        publisher.emit([line("child")])
        publisher.drain(30)
        return log.messages, {batch.writer for batch in log.batches}, log.batches[0].counter

    said = in_child(work)
    log.open_gate.set()
    assert publisher.drain(30)
    assert log.messages == ["parent 1", "parent 2", ""]
    assert said.startswith(("(['', 'child'], {", "(['child', ''], {"))
    assert said.endswith("}, 1)")
    assert log.batches[0].writer not in said


def test_a_lock_is_never_inherited_held(publisher, log):
    """Threads that report all the time, and children that report, too."""
    stop = threading.Event()

    def speak():
        tracker = Tracker(RUN, publisher)
        while not stop.is_set():
            publisher.emit([line("x")])
            tracker.update_progress(0.5)
            time.sleep(0)

    threads = [threading.Thread(target=speak) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(30):
            said = in_child(lambda: publisher.emit([line("child")]) or publisher.drain(20))
            assert said == "True"
    finally:
        stop.set()
        for thread in threads:
            thread.join()
