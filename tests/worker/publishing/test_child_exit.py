"""Children of a program's own, by multiprocessing or billiard: their last words are heard."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.event_log import LogReader, end_of
from support.ports import free_port

from celery_wsprogress.protocol.events import Log

PROGRAM = """
import sys, {library}
from celery_wsprogress import log, operation

def speak(number):
    log("info", f"child {{number}}")

def fail(number):
    log("info", f"child {{number}}")
    sys.exit(3)

if __name__ == "__main__":
    with operation("parent") as op:
        context = {library}.get_context("fork")
        children = [context.Process(target=f, args=(n,)) for n, f in enumerate([speak, fail])]
        for child in children:
            child.start()
        for child in children:
            child.join()
    print(op.operation_id, *[child.exitcode for child in children])
"""


def run(library, url):
    program = [sys.executable, "-c", PROGRAM.format(library=library)]
    environment = {"WSPROGRESS_URL": url}
    ran = subprocess.run(program, capture_output=True, text=True, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    operation_id, *codes = ran.stdout.split()
    return operation_id, [int(code) for code in codes]


@pytest.mark.redis
@pytest.mark.parametrize("library", ["multiprocessing", "billiard"])
def test_what_a_child_says_last_is_heard(redis_url, library):
    operation_id, codes = run(library, redis_url)
    assert codes == [0, 3]
    events = LogReader(redis_url).events(operation_id)
    assert end_of(events).status == "completed"
    lines = sorted(event.data.message for event in events if isinstance(event, Log))
    assert lines == ["child 0", "child 1"]


@pytest.mark.parametrize("library", ["multiprocessing", "billiard"])
def test_a_child_ends_though_the_broker_is_away(library):
    _, codes = run(library, f"redis://127.0.0.1:{free_port()}/0")
    assert codes == [0, 3]
