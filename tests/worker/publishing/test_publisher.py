from __future__ import annotations

import threading
import time

import pytest
from support.conditions import eventually
from support.forks import in_child

from celery_wsprogress.backoff import Backoff
from celery_wsprogress.protocol import batches
from celery_wsprogress.settings import WorkerSettings
from celery_wsprogress.worker.publishing import encoded_events, publishers
from celery_wsprogress.worker.publishing import publisher as module
from celery_wsprogress.worker.publishing.heartbeats import ActiveRun
from celery_wsprogress.worker.publishing.lookups import Lookup
from celery_wsprogress.worker.publishing.publisher import Publisher
from celery_wsprogress.worker.publishing.publishers import drain_all
from celery_wsprogress.worker.publishing.queue_entries import LazyEvent
from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.tracker import Tracker

RUN = RunInfo("op-1", "tasks.demo", "r1")


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
        self.batches.append(batches.decode_batch(batch))

    def keep_alive(self):
        pass

    def close(self):
        pass

    @property
    def messages(self):
        return [getattr(e.data, "message", "") for batch in self.batches for e in batch.events]


def opened(log, settings):
    return publishers.add(Publisher(log.open_writer, "test://log", settings))


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def publisher(log):
    publisher = publishers.add(
        Publisher(log.open_writer, "test://log", WorkerSettings(event_interval=0.001))
    )
    yield publisher
    log.open_gate.set()
    publisher.close()


def line(text):
    return encoded_events.log(RUN, 0.0, "info", text, {})


def test_nothing_runs_before_there_is_something_to_say(publisher, log):
    assert publisher.drain(0.0)
    assert log.threads == set()


def said_in_order_by_each_thread(publisher, log, count, emit):
    """Whether what three threads said at once arrived, of each of them in its order."""

    def speak(name):
        for n in range(count):
            emit(f"{name} {n}", n)

    threads = [threading.Thread(target=speak, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert publisher.drain(30)
    own = {name: [said for said in log.messages if said.startswith(name)] for name in "abc"}
    return own == {name: [f"{name} {n}" for n in range(count)] for name in "abc"}


def test_reports_arrive_in_their_order_whatever_thread_said_them(publisher, log):
    def emit(text, _):
        publisher.emit([line(text)])

    assert said_in_order_by_each_thread(publisher, log, 200, emit)
    assert [batch.counter for batch in log.batches] == list(range(1, len(log.batches) + 1))


def lazy(text):
    return LazyEvent(lambda: line(text))


def test_lazy_events_keep_their_place(publisher, log):
    def emit(text, n):
        publisher.emit([(lazy if n % 7 else line)(text)])
        if n % 100 == 0:
            # Long enough for the flusher to rest.
            eventually(lambda: not publisher._outbox.queue)

    assert said_in_order_by_each_thread(publisher, log, 500, emit)


def test_an_event_wakes_a_flusher_that_sleeps(publisher, log, monkeypatch):
    # It would not look by itself for the rest of the test.
    monkeypatch.setattr(module, "KEEP_ALIVE_INTERVAL", 1_000.0)
    for n in range(50):
        publisher.emit([lazy(f"{n}")])
        eventually(lambda n=n: log.messages[-1:] == [f"{n}"])
        assert publisher.drain(30)


def test_the_task_thread_never_touches_the_broker(publisher, log):
    tracker = Tracker(RUN, publisher)
    tracker.update_progress(0.5)
    tracker.log("info", "line")
    tracker.end(encoded_events.completed(RUN, 0.0))
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


def test_what_could_not_be_written_is_written_later(publisher, log):
    publisher._outbox.batches.backoff = Backoff(chance=lambda: 0.01)
    log.there = False
    publisher.emit([line("kept")])
    eventually(lambda: publisher._outbox.batches.broker_down)
    # Nobody waits for a broker that is known to be away.
    assert publisher.drain(1000) is False
    log.there = True
    eventually(lambda: log.messages == ["kept"])


def asking(ask):
    return Lookup(ask, lambda: [line("no answer")])


def test_an_answer_is_waited_for_at_the_end_and_follows_what_its_run_said(publisher, log):
    tracker, release = Tracker(RUN, publisher), threading.Event()

    def ask():
        assert release.wait(60)
        return [line("answer")]

    publisher.emit([line("begin")])
    assert publisher.drain(30)
    tracker.update_progress(0.5, "half")
    publisher.look_up(asking(ask), after=tracker.slot)
    publisher.emit([line("another run")])
    eventually(lambda: log.messages == ["begin", "half", "another run"])
    assert not publisher.drain(0.0)
    release.set()
    assert publisher.drain(30)
    assert log.messages[-1] == "answer"


def test_an_answer_that_says_nothing_is_not_waited_for_any_longer(publisher, log):
    release = threading.Event()
    publisher.look_up(asking(lambda: release.wait(60) and []), after=Tracker(RUN, publisher).slot)
    drained = []
    waiting = threading.Thread(target=lambda: drained.append(publisher.drain(60)))
    waiting.start()
    release.set()
    waiting.join(30)
    assert drained == [True]
    assert log.messages == []


def test_a_fault_of_ours_does_not_end_the_thread(publisher, log, monkeypatch, caplog):
    monkeypatch.setattr(module, "KEEP_ALIVE_INTERVAL", 0.01)
    publisher.emit([line("x")])
    real = publisher._outbox.queue.next_batch
    faults = iter([RuntimeError("ours")])

    def take(*args, **how):
        for fault in faults:
            raise fault
        return real(*args, **how)

    assert publisher.drain(30)
    monkeypatch.setattr(publisher._outbox.queue, "next_batch", take)
    publisher.emit([line("y")])
    eventually(lambda: "y" in log.messages)
    assert "unexpected error" in caplog.text


def test_drain_leaves_out_the_pacing(log):
    settings = WorkerSettings(event_interval=10, progress_interval=60)
    publisher = opened(log, settings)
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


class Pool:
    """Runs that go on, and a witness for them."""

    def __init__(self, *names):
        self.names = list(names)
        self.asked = 0
        self.asked_in = set()
        self.expecting = False

    def __call__(self):
        self.asked += 1
        self.asked_in.add(threading.current_thread().name)
        going = [
            ActiveRun(name, "r1", time.time(), lambda: line("announced")) for name in self.names
        ]
        return going or ([] if self.expecting else None)


@pytest.fixture
def signing(log):
    """A publisher that gives signs quickly."""
    settings = WorkerSettings(event_interval=0.001, sign_interval=0.1)
    publisher = opened(log, settings)
    yield publisher
    log.open_gate.set()
    publisher.close()


def signs(log):
    return [[name for name, _ in batch.alive] for batch in log.batches if batch.alive]


def test_signs_are_given_by_the_flusher_until_nothing_goes_on(signing, log):
    pool = Pool("op-1", "op-2")
    assert not signing.heartbeat_source
    signing.heartbeat_source = pool
    assert signing.heartbeat_source
    signing.emit([line("begin")])
    eventually(lambda: len(signs(log)) >= 3)
    pool.names.remove("op-1")
    eventually(lambda: signs(log)[-1] == ["op-2"])
    pool.names.clear()
    eventually(lambda: signing._outbox.heartbeats.idle)
    assert pool.asked_in == {"celery-wsprogress"}
    before = pool.asked
    pool.names.append("op-3")
    signing.emit([line("another")])
    eventually(lambda: signs(log)[-1] == ["op-3"])
    assert pool.asked > before
    assert [batch.counter for batch in log.batches] == list(range(1, len(log.batches) + 1))


def test_a_run_that_begins_without_a_word_is_waited_for(signing, log):
    pool = Pool()
    pool.expecting = True
    signing.heartbeat_source = pool
    signing.emit([line("received")])
    eventually(lambda: pool.asked >= 2)
    pool.names.append("op-1")
    eventually(lambda: signs(log))


def test_signs_come_though_there_is_always_something_to_write(signing, log):
    signing.heartbeat_source = Pool("op-1")

    def write_much():
        signing.emit([line("x")])
        return len(signs(log)) >= 2

    eventually(write_much, interval=0.0001)


def test_signs_and_other_ends_come_though_a_question_hangs(signing, log):
    """And what is said instead of its answer, when that does not come."""
    release = threading.Event()
    signing._outbox.lookups.timeout = 0.5
    signing.heartbeat_source = Pool("op-1")
    try:
        for _ in range(20):
            signing.look_up(
                asking(lambda: release.wait(60) and []), after=Tracker(RUN, signing).slot
            )
        signing.emit([line("another run")])
        eventually(lambda: len(signs(log)) >= 3 and log.messages.count("no answer") == 20)
        assert log.messages[0] == "another run"
    finally:
        release.set()


def test_signs_need_no_confirmation(signing, log):
    confirmed = []
    publish = log.publish

    def watch(batch, *, confirm):
        publish(batch, confirm=confirm)
        confirmed.append((bool(log.batches[-1].alive), confirm))

    log.publish = watch
    signing.heartbeat_source = Pool("op-1")
    signing.emit([line("x")])
    eventually(lambda: signs(log))
    eventually(lambda: len(confirmed) == len(log.batches) or len(confirmed) >= 2)
    assert {confirm for sign, confirm in confirmed if sign} == {False}
    assert confirmed[0] == (False, True)


def test_only_a_fresh_sign_counts(signing, log):
    """What could not be said while the broker was away is not said later."""
    pool = Pool("gone")
    signing._outbox.batches.backoff = Backoff(chance=lambda: 0.01)
    log.there = False
    signing.heartbeat_source = pool
    signing.emit([line("x")])
    eventually(lambda: signing._outbox.batches.broker_down)
    pool.names[:] = ["here"]
    log.there = True
    eventually(lambda: len(signs(log)) >= 2)
    assert signs(log)[0] == ["here"]
    # The broker goes again; nothing but a sign is under way.
    log.there = False
    eventually(lambda: signing._outbox.batches.broker_down)
    pool.names[:] = ["here again"]
    log.there = True
    eventually(lambda: signs(log)[-1] == ["here again"])
    assert signs(log) == sorted(signs(log))
    assert [batch.counter for batch in log.batches] == list(range(1, len(log.batches) + 1))


def test_signs_of_very_many_runs_are_several_batches(signing, log):
    names = [f"{n:08}-{'x' * 60}" for n in range(1_000)]
    signing.heartbeat_source = Pool(*names)
    signing.emit([line("x")])
    eventually(lambda: sum(map(len, signs(log))) >= 1_000)
    assert [name for sign in signs(log) for name in sign][:1_000] == names


def test_a_witness_that_fails_ends_neither_events_nor_later_signs(
    signing, log, monkeypatch, caplog
):
    monkeypatch.setattr(module, "KEEP_ALIVE_INTERVAL", 0.01)
    pool = Pool("op-1")
    faults = iter([RuntimeError("ours")])

    def witness():
        for fault in faults:
            raise fault
        return pool()

    signing.heartbeat_source = witness
    signing.emit([line("x")])
    eventually(lambda: "unexpected error" in caplog.text)
    signing.emit([line("y")])
    assert signing.drain(30)
    eventually(lambda: signs(log))


def test_a_child_does_not_vouch(signing, log):
    signing.heartbeat_source = Pool("parents")
    signing.emit([line("x")])
    eventually(lambda: signs(log))

    def work():
        log.batches.clear()
        signing.emit([line("child")])
        signing.drain(30)
        return bool(signing.heartbeat_source), signing._outbox.heartbeats.due, signs(log)

    assert in_child(work) == "(False, None, [])"


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


def test_a_lock_of_the_result_backend_is_never_inherited_held(publisher, log, monkeypatch):
    """The thread that asks it is waited for, and no other question begins."""
    monkeypatch.setattr(module, "LOOKUP_FORK_TIMEOUT", 60.0)
    lock, inside = threading.Lock(), threading.Event()

    def ask():
        with lock:
            inside.set()
            time.sleep(0.2)
        return [line("answer")]

    publisher.look_up(Lookup(ask, tuple))
    assert inside.wait(60)
    publisher.look_up(Lookup(ask, tuple))
    assert in_child(lambda: lock.acquire(timeout=10)) == "True"
    eventually(lambda: log.messages == ["answer"] * 2)


def test_a_fork_does_not_wait_for_a_result_backend_that_is_frozen(publisher, log, monkeypatch):
    monkeypatch.setattr(module, "LOOKUP_FORK_TIMEOUT", 0.1)
    inside, thaw = threading.Event(), threading.Event()

    def ask():
        inside.set()
        assert thaw.wait(60)
        return [line("answer")]

    publisher.look_up(Lookup(ask, tuple))
    assert inside.wait(60)
    try:
        said = in_child(lambda: publisher.emit([line("child")]) or publisher.drain(20))
        assert (said, log.messages) == ("True", [])
    finally:
        thaw.set()
    eventually(lambda: log.messages == ["answer"])


def test_a_lock_of_who_opens_a_connection_is_never_inherited_held(log, monkeypatch):
    """OpenSSL's, while it shakes hands: the fork waits, and no other connection is begun."""
    monkeypatch.setattr(module, "CONNECT_FORK_TIMEOUT", 60.0)
    lock, inside = threading.Lock(), threading.Event()

    def open_writer():
        with lock:
            inside.set()
            time.sleep(0.2)
        return log.open_writer()

    publisher = publishers.add(Publisher(open_writer, "test://log", WorkerSettings()))
    publisher.emit([line("parent")])
    assert inside.wait(60)
    assert in_child(lambda: lock.acquire(timeout=10)) == "True"
    eventually(lambda: log.messages == ["parent"])
    publisher.close()


def test_a_fork_does_not_wait_for_a_broker_that_does_not_answer(log):
    inside, answer = threading.Event(), threading.Event()

    def open_writer():
        inside.set()
        assert answer.wait(60)
        return log.open_writer()

    publisher = publishers.add(Publisher(open_writer, "test://log", WorkerSettings()))
    publisher.emit([line("parent")])
    assert inside.wait(60)
    assert in_child(lambda: True) == "True"
    assert log.messages == []
    answer.set()
    eventually(lambda: log.messages == ["parent"])
    publisher.close()


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


def test_a_broker_that_takes_nothing_is_waited_for_once(publisher, log, caplog):
    log.open_gate.clear()
    publisher.emit([line("first"), line("second")])
    eventually(lambda: publisher._outbox.batches.pending)
    began = time.monotonic()
    assert not publisher.drain(1_000, 0.2, since=began)
    # As another hook of the same end does.
    assert not publisher.drain(1_000, 0.2, since=began + 1_000)
    publisher.report_undelivered()
    publisher.report_undelivered()
    assert caplog.text.count("2 task events of this process were not delivered: test://log") == 1


def test_a_broker_that_takes_one_thing_after_the_other_is_waited_for(publisher, log):
    began = time.monotonic() - 1_000
    publisher.emit([line("first")])
    assert publisher.drain(30)
    publisher.emit([line("second")])
    assert publisher.drain(30, 1_000, since=began)


def test_the_connection_is_kept_as_long_as_the_setting_says(log, monkeypatch):
    monkeypatch.setattr(module, "KEEP_ALIVE_INTERVAL", 0.01)
    publisher = publishers.add(
        Publisher(log.open_writer, "test://log", WorkerSettings(idle_time=0))
    )
    publisher.emit([line("x")])
    assert publisher.drain(30)
    eventually(lambda: not publisher._outbox.batches.connected)
    publisher.close()
