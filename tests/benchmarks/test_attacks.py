"""The attacks that are measured: that they run, with all their options; not what comes out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import skip_or_fail

from benchmarks.load import CompilerMissingError, program

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    try:
        program()
    except CompilerMissingError as exc:
        skip_or_fail(str(exc))


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_quick_attack_from_many_addresses_on_a_sidecar_with_a_key(loop):
    options = ["--quick", "--attackers", "2", "--addresses", "--key", "--loop", loop]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.attacks", *options, "pings", "bad tokens"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figures = {line[:28].strip(): line[28:].split() for line in done.stdout.splitlines()}
    assert len(figures["pings"]) == len(figures["bad tokens"]) == 7
