"""Run the worker's part of the tests with other versions, and print what came of it as a table.

``make test-versions`` does it, ten minutes and more for each column of the table (which stands on
its side: a column is a line). ``--columns 3.11-lowest`` picks some. The table goes into the
documentation by hand.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from support.environments import (
    ROOT,
    Column,
    find_python,
    make_environment,
    version_of,
    versions_in,
)

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

_COUNTED: Final = re.compile(r"(\d+) (passed|skipped|failed|errors?)\b")


class Line(NamedTuple):
    """What is known of one column."""

    cells: Sequence[str]
    good: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the columns; returns how many of them failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [column.name for column in COLUMNS]
    parser.add_argument("--columns", nargs="+", choices=names, default=names, metavar="COLUMN")
    processes = str(min(os.cpu_count() or 1, 4))
    parser.add_argument("--processes", default=processes, help="in how many processes tests run")
    options = parser.parse_args(arguments)
    lines = [
        _line_of(column, options.processes) for column in COLUMNS if column.name in options.columns
    ]
    heads = ("column", "Python", *SHOWN, "tests", "minutes")
    for cells in (heads, ["---"] * len(heads), *(line.cells for line in lines)):
        print(f"| {' | '.join(cells)} |")
    return sum(not line.good for line in lines)


def _line_of(column: Column, processes: str) -> Line:
    python = find_python(column.python)
    if python is None:
        _say(f"{column.name}: left out, since Python {column.python} is not installed")
        return Line((column.name, f"{column.python} is not installed"), good=True)
    _say(f"{column.name}: making its environment")
    return _run(column, make_environment(column, python), processes)


def _run(column: Column, interpreter: Path, processes: str) -> Line:
    """Run the tests in one environment."""
    log = interpreter.parent.parent / "tests.log"
    _say(f"{column.name}: running the tests; their output is in {log}")
    command = [interpreter, "-m", "pytest", "-v", "-p", "no:cacheprovider", "-n", processes, *TESTS]
    environment = {**os.environ, "PYTHONPATH": ""}
    # What cannot be installed with these versions is skipped, and the table says how much that is.
    environment.pop("WSPROGRESS_FORBID_SKIPS", None)
    began = time.monotonic()
    with log.open("w") as output:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False
        )
    minutes = (time.monotonic() - began) / 60
    said = log.read_text(errors="replace").strip().splitlines()
    counted = ", ".join(f"{number} {what}" for number, what in _COUNTED.findall(said[-1]))
    for line in said:
        if line.startswith(("FAILED", "ERROR")):
            _say(f"    {line}")
    _say(f"{column.name}: {counted or said[-1]}")
    installed = versions_in(interpreter)
    shown = (installed[name] for name in SHOWN)
    cells = (column.name, version_of(interpreter), *shown, counted or said[-1], f"{minutes:.0f}")
    return Line(cells, done.returncode == 0)


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
