"""Services as systemd starts them: with sockets that are open already, and its variables."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from http.client import HTTPConnection
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

#: Takes the place of the socket that systemd passes, and becomes the service.
_AS_SYSTEMD: Final = """
import os, sys
if (passed := int(sys.argv[1])) >= 0:
    os.dup2(passed, 3, inheritable=True)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


class UnixHTTP(HTTPConnection):
    """HTTP over a Unix socket.

    Args:
        path: Its file.
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__("localhost", timeout=60)
        self._path = str(path)

    def connect(self) -> None:
        """Open it."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)

    def ask(self, path: str) -> tuple[int, bytes]:
        """The status and the text of an answer."""
        self.request("GET", path)
        with self.getresponse() as answer:
            return answer.status, answer.read()


def start_service(
    command: Sequence[str],
    output: IO[str],
    *,
    passed: int = -1,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program as systemd does.

    Args:
        command: Its path, and its arguments.
        output: Where its output goes.
        passed: The descriptor of the socket that it gets, if one is.
        environment: More of its environment, which has no setting of ours otherwise.
        folder: Where it runs.
    """
    clean = {k: v for k, v in os.environ.items() if not k.startswith("WSPROGRESS_")}
    return subprocess.Popen(
        [sys.executable, "-c", _AS_SYSTEMD, str(passed), *command],
        env={**clean, **(environment or {})},
        pass_fds=[passed] if passed >= 0 else [],
        stdout=output,
        stderr=output,
        cwd=folder,
    )
