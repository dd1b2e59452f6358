"""Running the program for tests: in a pipe, and in a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

from support.conditions import eventually
from support.terminals import Terminal

if TYPE_CHECKING:
    import signal

PROJECTS = Path(__file__).parents[1] / "projects"
OURS = (sys.executable, "-m", "celery_wsprogress")
CELERY = (sys.executable, "-m", "celery", "-A", "tiny", "wsprogress")


def environment(**more: str) -> dict[str, str]:
    """The environment without what would set something; the time is that of Greenwich."""
    clean = {name: value for name, value in os.environ.items() if "WSPROGRESS" not in name}
    clean.pop("COLUMNS", None)
    return {**clean, "TZ": "UTC", **more}


def run(*arguments: str, command=OURS, stdin="", **variables: str):
    """Run a command that ends by itself, with pipes."""
    done = subprocess.run(
        [*command, *arguments],
        cwd=PROJECTS,
        env=environment(**variables),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


class Piped:
    """A command that goes on, with pipes."""

    def __init__(self, *arguments: str, command=OURS, **variables: str) -> None:
        self.process = subprocess.Popen(
            [*command, *arguments],
            cwd=PROJECTS,
            env=environment(**variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._said: dict[str, list[str]] = {"out": [], "err": []}
        streams = {"out": self.process.stdout, "err": self.process.stderr}
        self._readers = [
            threading.Thread(target=self._said[name].extend, args=(stream,), daemon=True)
            for name, stream in streams.items()
        ]
        for one in self._readers:
            one.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.kill()
        self.process.wait(60)
        assert "Traceback" not in self.stderr, self.stderr

    @property
    def stdout(self) -> str:
        return "".join(self._said["out"])

    @property
    def stderr(self) -> str:
        return "".join(self._said["err"])

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until it has said this, on either stream."""
        return eventually(lambda: re.search(pattern, self.stdout + self.stderr), what=pattern)

    def type(self, text: str) -> None:
        """Write to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait until it ends, and has been read; returns its exit code."""
        code = self.process.wait(60)
        for one in self._readers:
            one.join(60)
        return code


def terminal(*arguments: str, command=OURS, **variables: str) -> Terminal:
    """Run a command in a terminal."""
    return Terminal([*command, *arguments], environment(**variables), PROJECTS)
