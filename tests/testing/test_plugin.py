"""The plugin in a run of pytest of its own, as users have it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# By name, whether the package is installed or not; never twice.
PLUGIN = ("-p", "no:celery_wsprogress", "-p", "celery_wsprogress.testing.plugin")

TESTS = """
import threading

import pytest
from celery import Celery

from celery_wsprogress import StreamingTask
from celery_wsprogress.testing import assert_progress, record_progress

pytest_plugins = ["celery.contrib.pytest"]

app = Celery("proj", broker="memory://", backend="cache+memory://")
app.conf.broker_transport_options = {"polling_interval": 0.02}


@app.task(base=StreamingTask)
def import_rows(self, rows):
    for number in range(1, rows + 1):
        self.update_progress(current=number, total=rows)


@pytest.fixture
def celery_app():
    return app


@pytest.fixture
def celery_worker_parameters():
    return {"perform_ping_check": False}


def test_eager(recorded_progress):
    import_rows.apply([3])
    assert_progress(recorded_progress, ends="completed", monotonic=True)


def test_called(recorded_progress):
    import_rows(3)
    assert_progress(recorded_progress, ends="completed", monotonic=True)
    # Nothing was started for it. In a process of many tests, others may start one at any time.
    assert not [one for one in threading.enumerate() if "wsprogress" in one.name]


def test_on_a_worker(celery_worker):
    with record_progress() as recorded:
        result = import_rows.delay(3)
        assert_progress(recorded, ends="completed", monotonic=True, timeout=60)
        assert len(recorded.of(result).progress) == 3
    # Published as in production.
    assert import_rows.delay(3).get(timeout=60) is None
"""

# Runs after all plugins: whatever is there now is left behind.
CONFTEST = """
import threading

import pytest


@pytest.hookimpl(trylast=True)
def pytest_unconfigure():
    names = [one.name for one in threading.enumerate() if "wsprogress" in one.name]
    print("left behind:", names)
"""

LIGHT = """
import sys


def test_nothing_of_celery_is_loaded():
    assert "celery_wsprogress.testing.plugin" in sys.modules
    assert not {"celery", "kombu", "msgspec"} & sys.modules.keys()
"""


def run(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *PLUGIN, str(folder)],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_tasks_are_recorded_and_no_thread_is_left_behind(tmp_path):
    ran = run(tmp_path, test_tasks=TESTS, conftest=CONFTEST)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 passed" in ran.stdout
    assert "left behind: []" in ran.stdout


def test_the_test_of_the_guide_passes(tmp_path):
    page = (ROOT / "docs" / "howto" / "test-your-tasks.md").read_text()
    [example] = [
        text
        for text in re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        if "recorded_progress" in text
    ]
    ran = run(tmp_path, test_example=example)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout


def test_the_plugin_alone_loads_no_celery(tmp_path):
    ran = run(tmp_path, test_light=LIGHT)
    assert ran.returncode == 0, ran.stdout + ran.stderr
