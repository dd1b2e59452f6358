"""The tests of the pure packages take every branch of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ["tests/protocol", "tests/operations", "tests/hub", "tests/access"]


@pytest.mark.timeout(1_200)
def test_every_branch_of_the_pure_packages_is_taken(tmp_path):
    """What is measured, and of which packages, is configured in pyproject.toml."""
    tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=branches"]
    run = coverage(tmp_path, "run", *tests, *FOLDERS)
    assert run.returncode == 0, run.stdout + run.stderr
    report = coverage(tmp_path, "report", "--fail-under=100", "--show-missing", "--skip-covered")
    assert report.returncode == 0, report.stdout + report.stderr


def coverage(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "coverage", *arguments],
        cwd=ROOT,
        env={**os.environ, "COVERAGE_FILE": str(folder / "coverage")},
        capture_output=True,
        text=True,
        check=False,
    )
