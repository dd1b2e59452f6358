"""Every branch of the pure packages is taken by the tests of its own module."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ["tests/protocol", "tests/operations", "tests/hub", "tests/access"]

# Modules with branches that no test takes yet. One that is complete must be taken out of here.
INCOMPLETE: set[str] = {
    "celery_wsprogress/hub/hub.py",
    "celery_wsprogress/hub/rate_limit.py",
    "celery_wsprogress/hub/session.py",
    "celery_wsprogress/hub/subscribe.py",
    "celery_wsprogress/hub/subscriptions.py",
    "celery_wsprogress/operations/history.py",
    "celery_wsprogress/operations/operation.py",
    "celery_wsprogress/operations/runs.py",
    "celery_wsprogress/protocol/batches.py",
    "celery_wsprogress/protocol/bounded_text.py",
    "celery_wsprogress/protocol/bounded_copy.py",
    "celery_wsprogress/protocol/bounded_json.py",
    "celery_wsprogress/protocol/events.py",
    "celery_wsprogress/protocol/jsonable.py",
}


def test_every_branch_of_the_pure_packages_is_taken():
    options = ["-q", "-p", "no:cacheprovider", "--hypothesis-profile=branches"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "support.branches", *options, *FOLDERS],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("celery_wsprogress/")]
    assert lines or done.returncode == 0, done.stdout + done.stderr
    missing = [line for line in lines if line.partition(":")[0] not in INCOMPLETE]
    assert not missing, "\n".join(["branches that no test takes:", *missing])
    assert {line.partition(":")[0] for line in lines} == INCOMPLETE
