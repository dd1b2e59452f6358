"""Run the worker's part of the tests with other versions, and print what came of it as a table.

``make test-versions`` does it, all of it in half an hour and more. ``--columns 3.11-lowest`` picks
some. The table goes into the documentation by hand, with the day it was made.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from environments import ROOT, Column, find_python, make_environment, versions_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

COLUMNS: Final = (
    Column("3.11", lowest=True),
    Column("3.11", lowest=False, celery="5.5"),
    Column("3.11", lowest=False, celery="5.6"),
    Column("3.12", lowest=True),
    Column("3.12", lowest=False),
    Column("3.13", lowest=True),
    Column("3.13", lowest=False),
)

TESTS: Final = (
    "tests/worker", "tests/brokers", "tests/operations",
    "tests/end_to_end/test_scenario.py", "tests/end_to_end/test_liveness.py",
    "tests/end_to_end/test_in_process.py",
)  # fmt: skip

SHOWN: Final = (
    "celery", "kombu", "billiard", "redis", "amqp", "websockets", "msgspec", "pyjwt", "click",
)  # fmt: skip

_COUNTED: Final = re.compile(r"(\d+) (passed|failed|errors?)\b")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the columns; returns how many of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [column.name for column in COLUMNS]
    parser.add_argument("--columns", nargs="+", choices=names, default=names, metavar="COLUMN")
    parser.add_argument("--processes", default="auto", help="in how many processes tests run")
    options = parser.parse_args(arguments)
    print(f"{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}\n")
    print(f"| column | {' | '.join(SHOWN)} | tests |\n|{'---|' * (len(SHOWN) + 2)}")
    failed = 0
    for column in COLUMNS:
        if column.name not in options.columns:
            continue
        python = find_python(column.python)
        if python is None:
            print(f"| {column.name} | skipped: Python {column.python} is not installed |")
            continue
        failed += not _run(column, make_environment(column, python), options.processes)
    return failed


def _run(column: Column, interpreter: Path, processes: str) -> bool:
    """Run the tests in one environment, and print its row."""
    command = [interpreter, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", processes, *TESTS]
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    (interpreter.parent.parent / "tests.log").write_text(done.stdout + done.stderr)
    last = done.stdout.strip().rpartition("\n")[2]
    counted = ", ".join(f"{number} {what}" for number, what in _COUNTED.findall(last))
    installed = versions_in(interpreter)
    cells = [column.name, *(installed[name] for name in SHOWN), counted or last]
    print(f"| {' | '.join(cells)} |", flush=True)
    for line in done.stdout.splitlines():
        if line.startswith(("FAILED", "ERROR")):
            print(f"    {line}", file=sys.stderr, flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
