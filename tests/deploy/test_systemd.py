"""The units of the documentation: what systemd says of them, and the command that they start."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import make_or_skip
from support.deployments import FOLDER, PROGRAM, Service, unit
from support.servers import find_program

from celery_wsprogress.cli import main
from celery_wsprogress.settings import ServeSettings

UNITS = ("wsprogress@.service", "wsprogress@.socket")


@pytest.fixture
def analyze(tmp_path):
    """Ask ``systemd-analyze`` about the units, with a program that there is."""
    program = make_or_skip(lambda: find_program("systemd-analyze"))
    for name in UNITS:
        text = (FOLDER / name).read_text()
        (tmp_path / name).write_text(text.replace(PROGRAM, shutil.which("true")))

    def analyze(*arguments):
        command = [program, *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
        )
        return done.returncode, done.stdout + done.stderr

    return analyze


def test_systemd_finds_nothing_wrong_with_the_units(analyze):
    assert analyze("verify", *[f"./{name}" for name in UNITS]) == (0, "")


def test_a_unit_with_an_unknown_line_is_found(analyze, tmp_path):
    with (tmp_path / UNITS[0]).open("a") as file:
        file.write("[Service]\nRestartForEver=yes\n")
    assert "RestartForEver" in analyze("verify", f"./{UNITS[0]}")[1]


def test_the_service_may_do_little(analyze):
    """Systemd gives 100 points for what a service may do at the worst; 50 and more is medium."""
    code, said = analyze("security", "--offline=yes", "--threshold=20", f"./{UNITS[0]}")
    assert code == 0, said


def test_the_command_of_the_service_is_one_of_this_version():
    [line] = unit(UNITS[0])["ExecStart"]
    program, command, *arguments = line.split()
    assert program == PROGRAM
    outcome = CliRunner().invoke(main, [command, *arguments, "--help"])
    assert outcome.exit_code == 0, outcome.output


def test_it_is_not_killed_while_it_closes_connections():
    [seconds] = unit(UNITS[0])["TimeoutStopSec"]
    assert int(seconds) >= ServeSettings().drain + 10


@pytest.mark.redis
def test_the_service_of_the_units(redis_url):
    """Started by its own line, on a socket that was open before, and started again on the same."""
    with tempfile.TemporaryDirectory(prefix="wsp-unit-") as name:
        folder = Path(name)
        (folder / "proj.py").write_text(
            f"from celery import Celery\n\napp = Celery('proj', broker={redis_url!r})\n"
        )
        with Service("1", folder, folder) as service:
            assert f"WebSocket server started on unix:{folder}/1.sock" in service.output
            assert service.restart() == 0
            assert service.stop() == 0
            # The file is that of systemd.
            assert service.path.is_socket()
