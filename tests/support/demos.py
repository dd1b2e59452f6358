"""The demo as a process of its own, for the tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import psutil

from support.conditions import eventually
from support.ports import free_port

ROOT = Path(__file__).parents[2]

#: Ours to choose: what the surroundings of the tests say is not meant for the demo.
OURS = ("BROKER_URL", "CELERY_", "WSPROGRESS_", "DEMO_")


class Demo:
    """``python -m example_app.demo`` on ports of its own, until the end of the ``with``."""

    def __init__(self, folder: Path, *options: str, **environ: str) -> None:
        self.ready_file = folder / "ready.json"
        self.output = folder / "output.txt"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        ports = [f"--{name}-port={free_port()}" for name in ("web", "ws", "flower")]
        command = [sys.executable, "-m", "example_app.demo", *ports]
        command += ["--ready-file", str(self.ready_file), *options]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=kept | {"TMPDIR": str(folder)} | environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.folder = folder

    def wait_until_ready(self) -> dict[str, str]:
        """Wait until everything answers; return the addresses."""
        eventually(self._is_ready, timeout=90)
        return json.loads(self.ready_file.read_text())

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.said()
        return self.ready_file.exists()

    def said(self) -> str:
        """Return what it printed."""
        return self.output.read_text()

    def family(self) -> list[psutil.Process]:
        """Return every process it started, and those that these started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def pool(self) -> list[psutil.Process]:
        """Return the worker's pool processes: the children of its main process."""
        workers = [
            one for one in self.family() if "celery" in (line := one.cmdline()) and "worker" in line
        ]
        mains = [one for one in workers if one.ppid() == self.process.pid]
        return [child for main in mains for child in main.children()]

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)

    def left_behind(self) -> list[Path]:
        """Return what is left in the folder that it had for temporary files."""
        return [
            path for path in self.folder.iterdir() if path not in (self.ready_file, self.output)
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process.poll() is None:
            family = self.family()
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                for one in (self.process, *family):
                    one.kill()
                self.process.wait()
