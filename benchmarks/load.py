"""Clients that cost next to nothing: the program ``load.c``, and how it is asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.machine import LOAD, started

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(__file__).with_name("load.c")
PROGRAM = Path(__file__).parent / "build" / "load"


class CompilerMissingError(Exception):
    """There is no C compiler on this machine."""


class ClientClosedError(Exception):
    """A server closed a connection that was to stay."""


class Count(msgspec.Struct):
    """The frames that all clients of a :class:`Load` were sent since they were ready."""

    frames: int
    bytes: int
    closed: int
    delays: int
    """Number of delays since the previous count; the next three are of them, in seconds."""
    p50: float
    p99: float
    max: float


class Load:
    """Clients of one server; see ``load.c``. Made by :func:`load`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._asked = 0

    def count(self) -> Count:
        """The frames so far."""
        return self._ask(0)

    def wait(self, frames: int) -> Count:
        """Wait until so many frames more have come than were waited for before.

        Raises:
            ClientClosedError: instead of them came the end of a connection.
        """
        self._asked += frames
        return self._ask(self._asked)

    def _ask(self, frames: int) -> Count:
        assert self._process.stdin is not None
        self._process.stdin.write(f"wait {frames}\n")
        self._process.stdin.flush()
        count = msgspec.json.decode(self._line(), type=Count)
        if count.closed:
            raise ClientClosedError(f"{count.closed} connections were closed by the server")
        return count

    def become_ready(self) -> None:
        """Wait until every connection has been sent its first frames."""
        assert "ready" in json.loads(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ClientClosedError("the clients are gone; they said why")
        return line


@contextmanager
def load(
    port: int,
    connections: int,
    *commands: dict[str, Any],
    numbers: int | None = None,
    welcomes: int = 1,
    key: str = "",
) -> Iterator[Load]:
    """Connect clients, and wait until they are all ready.

    Args:
        port: Of the server, on 127.0.0.1.
        connections: How many.
        commands: What each of them sends first; ``%d`` in it is the connection's number, counted
            from 0. Each is answered with one frame.
        numbers: How many numbers there are, if they are fewer than the connections.
        welcomes: Frames that the server sends before it is asked anything.
        key: What stands in a frame before the time of its sending, for delays.
    """
    said = [json.dumps(one) for one in commands]
    options = [*(("-k", key) if key else ()), *(("-n", str(numbers)) if numbers else ())]
    arguments = (port, connections, welcomes + len(commands))
    command = [str(program()), *options, *map(str, arguments), *said]
    with started(command, LOAD) as process:
        clients = Load(process)
        clients.become_ready()
        yield clients


def program() -> Path:
    """The compiled program; it is compiled where it is older than its source.

    Raises:
        CompilerMissingError: there is no compiler.
    """
    if not PROGRAM.exists() or PROGRAM.stat().st_mtime < SOURCE.stat().st_mtime:
        compiler = shutil.which(os.environ.get("CC", "cc"))
        if compiler is None:
            raise CompilerMissingError(
                "The clients of the benchmarks are a C program: install a C compiler (cc), "
                "or name one in the environment variable CC"
            )
        PROGRAM.parent.mkdir(exist_ok=True)
        flags = ("-O2", "-Wall", "-Wextra", "-Werror")
        subprocess.run([compiler, *flags, "-o", str(PROGRAM), str(SOURCE)], check=True)
    return PROGRAM
