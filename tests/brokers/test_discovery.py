"""Which broker a process's operations go to. Each in a process of its own: it chooses once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ASK = """
from celery_wsprogress.brokers.discovery import default_address
read, write = default_address(), default_address(write=True)
print(read.url, write.url, dict(read.transport_options), sep="|")
"""


def asked(before="", after="", **environ):
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WSPROGRESS", "CELERY"))
    }
    done = subprocess.run(
        [sys.executable, "-c", before + ASK + after],
        env={**kept, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip().splitlines()


APP = "from celery import Celery\napp = Celery('one', broker='redis://one/0')\n"
OTHER = "other = Celery('other', broker='redis://other/0', set_as_current=False)\n"
IN_THREAD = """
import threading
def here():
    thread = threading.Thread(target=lambda: exec(ASK))
    thread.start()
    thread.join()
"""


def test_without_anything_it_is_memory():
    assert asked() == ["memory://|memory://|{'polling_interval': 0.02}"]


def test_a_celery_without_a_broker_is_nothing():
    assert asked("from celery import Celery\napp = Celery('x')\n")[0].startswith("memory://")
    assert asked("import celery\n")[0].startswith("memory://")


def test_the_environment_names_it():
    assert asked(WSPROGRESS_URL="redis://env/0") == ["redis://env/0|redis://env/0|{}"]


def test_celerys_own():
    options = "app.conf.broker_transport_options = {'a': 1}\n"
    assert asked(APP + options) == ["redis://one/0|redis://one/0|{'a': 1}"]


def test_celerys_own_by_the_environment():
    before = "from celery import Celery\napp = Celery('x')\n"
    assert asked(before, CELERY_BROKER_URL="redis://c/0")[0].startswith("redis://c/0|redis://c/0")


def test_the_environment_names_another_one_than_celerys():
    assert asked(APP, WSPROGRESS_URL="redis://env/0") == ["redis://env/0|redis://env/0|{}"]


def test_the_configuration_names_another_one_than_celerys():
    conf = "app.conf.wsprogress_url = 'redis://conf/0'\n"
    assert asked(APP + conf) == ["redis://conf/0|redis://conf/0|{}"]
    only = "from celery import Celery\napp = Celery('x')\n"
    assert asked(only + conf) == ["redis://conf/0|redis://conf/0|{}"]


def test_reading_and_writing_may_differ():
    urls = "app.conf.broker_read_url = 'redis://r/0'; app.conf.broker_write_url = 'redis://w/0'\n"
    assert asked(APP + urls) == ["redis://r/0|redis://w/0|{}"]


@pytest.mark.parametrize(("apps", "expected"), [(APP, "redis://one/0"), (APP + OTHER, "memory://")])
def test_in_a_thread_it_is_the_only_one_that_names_a_broker(apps, expected):
    before = f"ASK = {ASK!r}\n{apps}{IN_THREAD}here()\n"
    assert asked(before)[0].startswith(f"{expected}|")


def test_of_several_it_is_the_current_one():
    assert asked(APP + OTHER)[0].startswith("redis://one/0")


def test_the_first_answer_holds():
    after = f"\nASK = {ASK!r}\n" + APP + "exec(ASK)\n"
    assert asked(after=after) == ["memory://|memory://|{'polling_interval': 0.02}"] * 2
