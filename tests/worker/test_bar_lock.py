"""The lock of the bars: nobody waits for it for ever."""

from __future__ import annotations

import os
import threading

from support.heard import running

from celery_wsprogress import phase, update_progress
from celery_wsprogress.worker.bar_lock import bar_lock


def in_thread(function):
    """Whether a thread comes to the end of it."""
    done = threading.Event()

    def run():
        function()
        done.set()

    threading.Thread(target=run, daemon=True).start()
    return done.wait(20)


def test_a_publisher_does_not_wait_for_a_thread_that_waits_for_it():
    """A destructor may report in a thread that is changing a bar, and need the publisher's lock."""
    with running(waits=True) as (tracker, heard), phase("Import", 0.5):
        update_progress(0.5)
        with bar_lock():
            assert in_thread(lambda: heard.fetch(tracker.slot))
    assert heard.progress[0]["progress"] == 0.25
    assert heard.progress[0]["details"]["phases"][0]["name"] == "Import"


def forked(work):
    """Whether something holds in a child of a fork."""
    pid = os.fork()
    if pid == 0:
        held = False
        try:
            held = work()
        finally:
            os._exit(0 if held else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_thread_of_a_child_may_fork_too():
    """A task in a process of the pool may use multiprocessing in a thread."""
    assert forked(lambda: in_thread(lambda: forked(lambda: True)))


def test_a_child_begins_with_a_lock_that_is_free_and_its_own_child_as_well():
    def take():
        with bar_lock():
            pass

    def free():
        return in_thread(take)

    assert forked(lambda: free() and forked(free))
    assert free()


def test_a_fork_does_not_wait_for_a_thread_that_keeps_the_lock():
    inside, go_on = threading.Event(), threading.Event()

    def keep():
        with bar_lock():
            inside.set()
            go_on.wait(60)

    thread = threading.Thread(target=keep)
    thread.start()
    assert inside.wait(60)
    assert in_thread(lambda: forked(lambda: True))
    go_on.set()
    thread.join()
