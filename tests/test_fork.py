"""Every state that a fork copies is renewed in a child that C made, where no hook is called."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time

import pytest
from support import process_state
from support.asyncio_runner import run
from support.c_forks import in_child
from support.conditions import eventually
from support.event_log import LogReader, spoken

from celery_wsprogress import (
    fork,
    is_websocket_running,
    operation,
    start_websocket_background,
    stop_websocket_background,
    ws_manager,
)
from celery_wsprogress.standalone import process_publisher, registry
from celery_wsprogress.worker.publishing import encoded_events
from celery_wsprogress.worker.publishing.publishers import drain_all
from celery_wsprogress.worker.run_info import RunInfo, new_id


@pytest.fixture
def log(redis_url, monkeypatch):
    monkeypatch.setenv("WSPROGRESS_PORT", "0")
    with process_state.fresh(monkeypatch, redis_url):
        yield LogReader(redis_url)


def at_rest():
    """Wait until no thread of ours is at work: a fork in C may leave a child that hangs."""
    publisher = process_publisher.process_publisher()
    assert publisher.drain(30)
    eventually(lambda: publisher._wakes_at > time.monotonic() + 0.2)
    return publisher


@pytest.fixture
def slow_line():
    """A thread is in the middle of a line of the log: the handler, the stream's lock, its end."""
    lock, inside, go_on = threading.Lock(), threading.Event(), threading.Event()

    class Stream:
        def write(self, _):
            with lock:
                inside.set()
                go_on.wait(60)

        flush = close = lambda self: None

    logger, handler = logging.getLogger("celery_wsprogress"), logging.StreamHandler(Stream())
    logger.addHandler(handler)
    thread = threading.Thread(target=logger.warning, args=("The broker is away",))
    thread.start()
    assert inside.wait(60)
    yield handler, lock, go_on
    go_on.set()
    thread.join()
    # The parent goes on.
    logger.warning("It is back")
    logger.removeHandler(handler)


def test_nobody_is_in_the_middle_of_a_line_of_the_log_when_python_forks(slow_line):
    """A stream has a lock of its own, which the child would inherit locked."""
    handler, lock, go_on = slow_line
    threading.Timer(0.1, go_on.set).start()
    assert forked(lambda: lock.acquire(timeout=60) and handler.lock.acquire(timeout=60))


def test_a_handler_with_a_lock_of_its_own_is_left_unlocked():
    """`logging` knows nothing of that one, and so makes it anew nowhere."""

    class Handler(logging.NullHandler):
        def createLock(self):  # noqa: N802 - as logging has it
            self.lock = threading.RLock()

    handler = Handler()
    logging.getLogger("celery_wsprogress").addHandler(handler)
    try:
        assert forked(lambda: held_by_nobody(handler.lock))
        assert held_by_nobody(handler.lock)
    finally:
        logging.getLogger("celery_wsprogress").removeHandler(handler)


def held_by_nobody(lock):
    """Whether another thread gets it."""
    found = []
    thread = threading.Thread(target=lambda: found.append(lock.acquire(timeout=5)))
    thread.start()
    thread.join()
    return found == [True]


def test_a_fork_does_not_wait_for_a_log_that_hangs(slow_line):
    assert forked(lambda: True)


def forked(work):
    """Whether something holds in a child that Python forks."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if work() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_python_s_hooks_are_not_called():
    """What all of this is about; if they were, these tests would test nothing."""
    called = []
    os.register_at_fork(after_in_child=lambda: called.append(1))
    assert in_child(lambda: called) == "[]"


def test_ids_are_its_own():
    new_id()
    found = {in_child(lambda: [new_id() for _ in range(3)]) for _ in range(4)}
    assert len(found) == 4


def work_of(name):
    def work():
        with operation("child's", operation_id=name) as op:
            op.update_progress(0.5)
        drain_all(30)
        return ws_manager.get_stats()["own_operations"]

    return work


def test_operations_have_their_frames_though_the_parent_had_a_thread(log):
    with operation("parent's") as op:
        at_rest()
        names = [f"child {n}" for n in range(3)]
        assert [in_child(work_of(name)) for name in names] == ["0"] * 3
    drain_all(30)
    for name in (*names, op.operation_id):
        assert log.watched(name) == ["started", "completed"]
    assert len({batch.writer for batch in log.batches()}) == 4


def test_one_name_in_all_children_is_an_operation_of_each(log):
    with operation("parent's"):
        pass
    at_rest()
    assert [in_child(work_of("nightly")) for _ in range(3)] == ["0"] * 3
    assert len({event.run for event in log.events("nightly")}) == 3
    assert log.watched("nightly") == ["started", "completed"] * 3


def test_what_is_said_of_a_parents_operation_goes_on(log):
    """Also where its progress waited at the fork; its end is its owner's."""
    with operation("shared") as op:
        publisher = at_rest()
        with publisher._lock:
            op.update_progress(0.1)

            def work():
                op.log("info", "child")
                op.update_progress(0.7)
                op.complete()
                return drain_all(30), ws_manager.get_stats()["own_operations"]

            assert in_child(work) == "(None, 0)"
        assert "progress" in {type(e).__name__.lower() for e in log.events(op.operation_id)}
    drain_all(30)
    assert log.watched(op.operation_id) == ["started", "log", "completed"]


def held(*locks):
    """A thread that holds them; returns how to let go."""
    ready, over = threading.Event(), threading.Event()

    def hold():
        for lock in locks:
            lock.acquire()
        ready.set()
        over.wait(300)
        for lock in locks[::-1]:
            lock.release()

    threading.Thread(target=hold).start()
    ready.wait(60)
    return over.set


def test_locks_that_were_held_are_not(log):
    from celery_wsprogress.sidecar.embedded import background
    from celery_wsprogress.worker.publishing import publishers

    publisher = process_publisher.process_publisher()
    locks = (
        publisher._lock,
        registry._registry._lock,
        process_publisher._lock,
        publishers._forking,
    )
    let_go = held(*locks, background._lock)
    try:

        def work():
            start_websocket_background()
            stop_websocket_background()
            pid = os.fork()
            if pid == 0:
                os._exit(7)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            return code, work_of("child")()

        assert in_child(work) == "(7, 0)"
    finally:
        let_go()
    assert log.watched("child") == ["started", "completed"]


def test_what_waited_is_the_parents_to_say(log):
    publisher = process_publisher.process_publisher()
    with publisher._lock:
        publisher.emit([encoded_events.log(RunInfo("op", "x", "r"), 0.0, "info", "once", {})])
        assert in_child(lambda: publisher.drain(0.0)) == "True"
    assert publisher.drain(30)
    assert spoken(log.events("op")) == ["log"]


def test_nobody_vouches_in_it_and_no_server_runs_there(log):
    assert start_websocket_background() is not None
    run(ws_manager.create_operation("parent's"))
    at_rest()

    def work():
        return (
            process_publisher.process_publisher().heartbeat_source,
            is_websocket_running(),
            ws_manager.get_active_operations(),
        )

    assert in_child(work) == "(None, False, [])"
    assert process_publisher.process_publisher().heartbeat_source
    assert is_websocket_running()


def test_many_threads_of_a_child_find_out_at_once(log):
    with operation("parent's"):
        pass
    at_rest()

    def work():
        begin = threading.Barrier(8)

        def speak(n):
            begin.wait()
            with operation("child's", operation_id=f"thread {n}"):
                pass

        threads = [threading.Thread(target=speak, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        drain_all(30)
        return registry.stats()

    assert "'own_operations': 0" in in_child(work)
    for n in range(8):
        assert log.watched(f"thread {n}") == ["started", "completed"]


def test_a_child_of_a_child_is_new_again():
    renewed = []
    fork.register(lambda: renewed.append(os.getpid()))
    try:

        def work():
            fork.notice()
            fork.notice()
            return len(renewed), in_child(lambda: fork.notice() or len(renewed))

        assert in_child(work) == "(1, '2')"
        assert renewed == []
    finally:
        fork._registered.pop()


@pytest.mark.parametrize("name", ["StreamingTask", "operation", "track"])
def test_a_fork_takes_the_lock_of_the_bars_inside_those_of_the_publishers(name):
    """In the order of the flusher, else they would wait for each other."""
    script = f"""
from celery_wsprogress import {name}, fork
from celery_wsprogress.worker.publishing import publishers
order = [state.reset.__module__.rpartition(".")[2] for state in fork._registered]
assert order.index("bar_lock") < order.index("publishers"), order
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
