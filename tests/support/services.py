"""Services as systemd starts them: with sockets that are open already, and its variables."""

from __future__ import annotations

import os
import subprocess
import sys
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
