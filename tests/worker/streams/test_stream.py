"""A stream of a run: its chunks, their numbers, and its end."""

from __future__ import annotations

import json
import os
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celery_wsprogress import stream
from celery_wsprogress.protocol.jsonable import MAX_EVENT_BYTES
from celery_wsprogress.worker.publishing.queue import EventQueue
from celery_wsprogress.worker.redaction import Redactor
from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.streams.stream import MAX_STREAMS, Stream, open_stream
from celery_wsprogress.worker.tracker import Tracker

RUN = RunInfo("op-1", "tasks.demo", "r1")


class Sink:
    """A queue that is read when a test says so."""

    def __init__(self, limit=10_000_000):
        self.queue = EventQueue(limit, event_interval=0.01, progress_interval=0.1)
        self.schedule = self.queue.schedule

    def emit(self, events, *, after=None):
        self.queue.put(events)

    def read(self, room=32_000):
        """The data of the chunks that wait."""
        found = []
        while self.queue:
            found += map(json.loads, self.queue.next_batch(0.0, room, immediate=True).events)
        assert all(len(json.dumps(one)) <= MAX_EVENT_BYTES for one in found)
        return [one["data"] for one in found if one["event_type"] == "chunk"]


def made(limit=10_000_000, sink=None, **options):
    """A sink, and the tracker of a run that reports to it."""
    sink = sink or Sink(limit)
    return sink, Tracker(RUN, sink, **options)


def contents(chunks):
    return [one["chunk"] for one in chunks if not one.get("closed")]


steps = st.lists(
    st.one_of(st.text(), st.just("x" * 9_000), st.none(), st.lists(st.integers(), max_size=3))
)


@given(steps)
def test_what_is_written_is_read_in_order_however_it_is_joined(steps):
    """``None`` reads what waits."""
    sink, tracker = made()
    out, read, written = open_stream(tracker, "answer"), [], []
    for step in steps:
        if step is None:
            read += sink.read()
            continue
        out.write(step)
        written.append(step)
    out.close()
    read += sink.read()
    assert [one["index"] for one in read] == list(range(len(read)))
    assert [one.get("closed") for one in read] == [None] * (len(read) - 1) + [True]
    assert {one["stream"] for one in read} == {"answer"}
    assert joined(contents(read)) == joined(written)


def joined(values):
    """Texts that follow each other as one."""
    found = []
    for value in values:
        if isinstance(value, str) and found and isinstance(found[-1], str):
            found[-1] += value
        elif value != "":
            found.append(value)
    return [encoded(one) if isinstance(one, str) else one for one in found]


def encoded(text):
    return text.encode("utf-8", "replace").decode()


def test_what_finds_no_room_in_a_batch_is_in_the_next_one():
    sink, tracker = made()
    with open_stream(tracker, "answer") as out:
        for _ in range(20):
            out.write("x" * 9_000)
    assert "".join(contents(sink.read(room=20_000))) == "x" * 180_000


def test_threads_write_in_the_order_of_their_calls(often_switched):
    sink, tracker = made(sink=LockedSink())
    out, writing, read = open_stream(tracker, "answer"), [], []

    def write(name):
        for number in range(2_000):
            out.write(f"{name}{number} ")

    for name in "abc":
        writing.append(threading.Thread(target=write, args=(name,)))
        writing[-1].start()
    while any(one.is_alive() for one in writing):
        read += sink.read()
    out.close()
    read += sink.read()
    assert [one["index"] for one in read] == list(range(len(read)))
    words = "".join(contents(read)).split()
    for name in "abc":
        assert [one for one in words if one[0] == name] == [f"{name}{n}" for n in range(2_000)]


@pytest.fixture
def often_switched():
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class LockedSink(Sink):
    """One that threads may share."""

    def __init__(self):
        super().__init__()
        self.lock = threading.RLock()
        self.waits = threading.Event()

    def emit(self, events, *, after=None):
        self.waits.set()
        with self.lock:
            super().emit(events)

    def read(self, room=32_000):
        with self.lock:
            return super().read(room)


def test_a_stream_is_closed_in_the_publishers_thread_while_another_one_writes():
    """As by a finalizer: a generator was left inside of the block."""
    sink, tracker = made(sink=LockedSink())
    out = open_stream(tracker, "answer")
    writer = threading.Thread(target=out.write, args=("late",), daemon=True)

    def publish():
        with sink.lock:
            writer.start()
            sink.waits.wait(60)
            out.close()

    publisher = threading.Thread(target=publish, daemon=True)
    publisher.start()
    publisher.join(60)
    assert not publisher.is_alive()
    writer.join(60)
    assert [one["closed"] for one in sink.read()] == [True]


def test_pieces_of_one_moment_are_one_chunk():
    sink, tracker = made()
    with open_stream(tracker, "answer") as out:
        for word in ("The ", "answer ", "is ", "42."):
            out.write(word)
    assert contents(sink.read()) == ["The answer is 42."]


def test_a_text_of_a_class_of_its_own_and_other_values():
    class Text(str):
        __slots__ = ()

        def __len__(self):
            raise RuntimeError("not of a str")

    sink, tracker = made()
    out = open_stream(tracker, "answer")
    for piece in (Text("a"), {"a": 1}, None, 2):
        out.write(piece)
    out.send("x" * 30_000)
    *values, cut = sink.read()
    assert contents(values) == ["a", {"a": 1}, None, 2]
    assert cut["truncated"]
    assert cut["chunk"].startswith('"xxx')


def test_values_are_redacted():
    sink, tracker = made(redactor=Redactor("tasks.demo", ["token"]))
    open_stream(tracker, "rows").send({"token": "secret", "n": 1})
    assert contents(sink.read()) == [{"token": "[redacted]", "n": 1}]


def test_the_end_of_the_run_closes_its_streams_before(caplog):
    sink, tracker = made()
    out, other = open_stream(tracker, "answer"), open_stream(tracker, "rows")
    out.write("a")
    other.close()
    tracker.end()
    said = [(one["stream"], one["chunk"], one.get("closed")) for one in sink.read()]
    assert said == [("answer", "a", None), ("rows", None, True), ("answer", None, True)]
    out.write("late")
    out.write("later")
    open_stream(tracker, "new").write("late")
    assert sink.read() == []
    assert [one.getMessage() for one in caplog.records] == [
        "tasks.demo: what is written to the stream 'answer' after its end is not sent"
    ]


def test_streams_of_one_name_are_one():
    sink, tracker = made()
    open_stream(tracker, " answer ").write("a")
    open_stream(tracker, "answer").write("b")
    assert contents(sink.read()) == ["ab"]
    assert open_stream(tracker, "").name == "stream"
    assert open_stream(tracker, "x" * 1_000).name.startswith("xxx")


def test_there_are_so_many_streams_at_most(caplog):
    sink, tracker = made()
    for number in range(MAX_STREAMS + 1):
        open_stream(tracker, number).write("x")
    open_stream(tracker, "one more").write("x")
    assert len(sink.read()) == MAX_STREAMS
    [warning] = [one.getMessage() for one in caplog.records]
    assert "a run has no more than 1000 streams; '1000' and those after it" in warning


def test_what_is_dropped_from_a_full_queue_leaves_a_gap():
    sink, tracker = made(limit=50_000)
    out = open_stream(tracker, "answer")
    for _ in range(50_000):
        out.write("word ")
    assert sink.queue.size <= 50_000
    read = sink.read()
    first = read[0]["index"]
    assert first > 0
    assert [one["index"] for one in read] == list(range(first, first + len(read)))
    # What is written to a chunk that was dropped goes into another one.
    out.write("on")
    assert contents(sink.read()) == ["on"]


def test_many_small_chunks_take_little_of_the_queue():
    sink = Sink(limit=8_000_000)
    for number in range(2 * MAX_STREAMS):
        tracker = Tracker(RunInfo(f"op-{number}", "tasks.demo", f"r{number}"), sink)
        with open_stream(tracker, "answer") as out:
            for _ in range(5):
                out.write("word ")
    assert contents(sink.read()) == ["word " * 5] * 2 * MAX_STREAMS


def test_what_chunks_have_grown_by_counts_at_the_latest_when_they_are_closed():
    sink = Sink(limit=100_000)
    for number in range(100):
        tracker = Tracker(RunInfo(f"op-{number}", "tasks.demo", f"r{number}"), sink)
        with open_stream(tracker, "answer") as out:
            for _ in range(39):
                out.write("x" * 100)
    assert sum(len(text) for text in contents(sink.read())) < 100_000


def test_a_value_that_closes_its_stream_is_not_sent():
    class Closes:
        def __str__(self):
            out.close()
            return "late"

    sink, tracker = made()
    out = open_stream(tracker, "answer")
    out.send(Closes())
    assert [one["index"] for one in sink.read()] == [0]


def test_a_stream_that_is_opened_while_its_run_ends_sends_nothing():
    class OpensMore(Sink):
        def emit(self, events, *, after=None):
            super().emit(events)
            open_stream(tracker, "late").write("late")

    sink = OpensMore()
    tracker = Tracker(RUN, sink)
    open_stream(tracker, "answer")
    tracker.mark_ended()
    assert [one["stream"] for one in sink.read()] == ["answer"]


def test_nothing_is_sent_outside_of_a_run():
    with stream("answer") as out:
        out.write("a")
        out.write([1])
    for unpublished in (Tracker(RUN, None), None):
        out = open_stream(unpublished, "answer")
        out.write("a")
        out.send(1)
        out.close()
        out.write("b")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_child_process_writes_nothing_to_the_stream_of_its_parent(monkeypatch):
    sink, tracker = made()
    out = Stream(tracker, "answer")
    process = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: process + 1)
    out.write("a")
    out.close()
    assert sink.read() == []
    assert not out.closed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_what_waited_at_a_fork_is_the_parents_and_the_child_is_told_at_once(monkeypatch, caplog):
    sink, tracker = made()
    out = open_stream(tracker, "answer")
    out.write("waits")
    process = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: process + 1)
    sink.queue.detach()
    out.write("lost")
    assert "'answer' by a child process is not sent" in caplog.text
