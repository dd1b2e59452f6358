"""How long the end of a process waits for a broker that is far, and for one that is mute."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from celery import Celery
from support.conditions import eventually
from support.event_log import LogReader, spoken
from support.proxies import Proxy
from support.workers import Worker

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def mute(kind):
    """The URL of a broker that takes connections and never says a word, or does not take them."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1))
        address = listening.getsockname()
        while kind == "does not connect":
            # Until the kernel answers no more: so is a host behind a firewall that drops packets.
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(address)
            if len(stack._exit_callbacks) > 8:
                break
        yield f"redis://{address[0]}:{address[1]}/0"


SCRIPT = """
import sys
from celery import Celery
from celery_wsprogress import StreamingTask, operation
from celery_wsprogress.standalone import process_publisher
from celery_wsprogress.worker.signals import handlers

# What may be waited for a broker that answers: with a mute one this test would never end.
process_publisher.DRAIN = handlers.WARM_DRAIN = 1_000
app = Celery("proj", broker="memory://")

@app.task(base=StreamingTask)
def work(self):
    pass

work.delay()
with operation("import"):
    pass
"""


@pytest.mark.parametrize("kind", ["says nothing", "does not connect"])
def test_a_script_does_not_wait_for_a_mute_broker_and_says_what_was_lost(kind):
    with mute(kind) as url:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(SCRIPT)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "WSPROGRESS_URL": url},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    said = re.findall(r"(\d) task events of this process were not delivered: (\S+)", done.stderr)
    assert sorted(said) == [("1", url), ("2", url)]


@contextlib.contextmanager
def recycling(url, names, **options):
    """A worker that has run tasks, each in a process of its own."""
    recycle = ("--max-tasks-per-child", "1", "--concurrency", "2")
    with Worker("unstreamed", broker=url, options=recycle, **options) as worker:
        app = Celery(broker=url, set_as_current=False)
        for name in names:
            app.send_task("unstreamed.plain", [name])
        eventually(lambda: worker.log.count("succeeded in") == len(names))
        yield worker


def test_a_recycled_process_says_all_to_a_broker_that_is_far(redis_url):
    names = [f"far {n}" for n in range(4)]
    port = int(redis_url.rpartition(":")[2].partition("/")[0])
    with Proxy(port) as proxy:
        proxy.delay = 0.03
        with recycling(redis_url.replace(str(port), str(proxy.port)), names):
            for name in names:
                events = LogReader(redis_url).wait_for_end(name)
                assert spoken(events) == ["started", "log", "result", "completed"]


def test_a_recycled_process_says_what_a_mute_broker_did_not_take(redis_url):
    names = [f"mute {n}" for n in range(8)]
    with (
        mute("says nothing") as url,
        recycling(redis_url, names, environment={"WSPROGRESS_URL": url}) as worker,
    ):
        eventually(lambda: worker.log.count("4 task events of this process were not") == 8)
