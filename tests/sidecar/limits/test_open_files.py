"""The limit on open files is raised, and some files are kept free."""

from __future__ import annotations

import subprocess
import sys

import pytest

from celery_wsprogress.sidecar.limits.open_files import RESERVED_FILES, max_connections

RAISED = """
import resource
from celery_wsprogress.sidecar.limits.open_files import raise_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300))
assert raise_limit() == raise_limit() == 300
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300, 300)
"""


@pytest.mark.parametrize(
    ("wanted", "files", "expected"),
    [(10, 10_000, 10), (10_000, 1_000, 1_000 - RESERVED_FILES - 500), (10_000, 100, 1)],
)
def test_no_more_connections_than_files_allow(wanted, files, expected):
    assert max_connections(wanted, files, 500) == expected


def test_the_soft_limit_is_raised_to_the_hard_one():
    subprocess.run([sys.executable, "-c", RAISED], check=True, timeout=60)
