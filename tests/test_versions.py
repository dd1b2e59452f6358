"""The declared floors: what is tested with the lowest versions is what pyproject.toml declares."""

from __future__ import annotations

import os
import subprocess

import pytest
from conftest import skip_or_fail
from packaging.requirements import Requirement
from packaging.version import Version
from support.environments import (
    ROOT,
    Column,
    declared,
    find_python,
    make_environment,
    versions_in,
)

LOWEST = Column("3.11", lowest=True)

#: From the caller to who watches, on both brokers; and what depends on Celery's own versions: how
#: functions are bound, and replaced, retried and revoked tasks.
CORE = {
    "tests/worker/test_task.py": "",
    "tests/worker/test_default_base.py": "",
    "tests/worker/test_signal_table.py": "success or retry_is or replaced_run or while_it_runs",
    "tests/end_to_end/test_scenario.py": "before_the_task and not memory",
}


@pytest.fixture(scope="module")
def lowest():
    python = find_python(LOWEST.python)
    if python is None:
        skip_or_fail(f"Python {LOWEST.python} is not installed")
    return make_environment(LOWEST, python)


def test_every_floor_is_installed(lowest):
    found = versions_in(lowest)
    here = {"python_version": LOWEST.python}
    for one in map(Requirement, declared()):
        if one.marker is not None and not one.marker.evaluate(here):
            continue
        [floor] = [each.version for each in one.specifier if each.operator == ">="]
        installed = found[one.name.lower()]
        # Click 8.1.0 and 8.1.1 were withdrawn, and Celery refuses them, too.
        same = (
            installed.startswith(floor)
            if one.name == "click"
            else Version(installed) == Version(floor)
        )
        assert same, f"{one} is tested with {installed}"


def test_the_core_works_with_the_lowest_versions(lowest, tmp_path):
    environment = {**os.environ, "PYTHONPATH": ""}
    # This very test may run as one of several; the one inside is on its own.
    for name in [name for name in environment if name.startswith("PYTEST_")]:
        del environment[name]
    for file, names in CORE.items():
        command = [lowest, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", file]
        command += ["-k", names] if names else []
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
