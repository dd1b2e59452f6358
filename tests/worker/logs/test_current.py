"""Whose lines those of threads without a context are, where one task runs at a time."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import logging, sys, threading

from celery_wsprogress.worker.logs import current, runs
from celery_wsprogress.worker.logs.options import LogOptions
from celery_wsprogress.worker.run_info import RunInfo
from celery_wsprogress.worker.tracker import Tracker


class Sink:
    def emit(self, events, *, after=None):
        for event in events:
            print(threading.current_thread().name)


def begun():
    tracker = Tracker(RunInfo("op", "shop.tidy", "r"), Sink())
    runs.begin(tracker, LogOptions(logging.DEBUG, False, 1000.0), streams_tracebacks=False)
    return tracker


def log_in(name):
    thread = threading.Thread(target=logging.warning, args=("connected",), name=name)
    thread.start()
    thread.join()


def goes_on():
    try:
        while not over.is_set():
            current.find_forwarder()
    except BaseException as exc:
        print("failed", type(exc).__name__)


current.worker_process_init()
tracker = begun()
log_in("celery-wsprogress")
log_in("celery-wsprogress-flower")
log_in("of the task")
runs.leave(tracker)

over = threading.Event()
sys.setswitchinterval(1e-6)
left = threading.Thread(target=goes_on)
left.start()
for _ in range(500):
    runs.leave(begun())
over.set()
left.join()
"""


def test_the_threads_of_this_package_are_of_no_task_and_one_of_an_earlier_run_does_not_fail():
    """A client library logs in the thread that the first task of a process has started."""
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines() == ["of the task"], done.stderr[-2000:]
