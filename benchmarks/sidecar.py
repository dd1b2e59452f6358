"""The sidecar that is measured: ``celery-wsprogress serve`` on a processor of its own."""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from benchmarks.machine import MEASURED, memory, processor_time, started

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator


class SidecarFailedError(Exception):
    """Raised if the sidecar ends instead of serving."""


class Sidecar:
    """A sidecar that listens. Made by :func:`sidecar`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        found = re.search(r"wss?://(\S+):(\d+)", process.stdout.readline())
        if found is None:
            raise SidecarFailedError("the sidecar did not start; it said why")
        self.pid = process.pid
        self.port = int(found[2])

    @property
    def url(self) -> str:
        """The URL of its WebSocket."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def processor_time(self) -> float:
        """Seconds of the processor it has used."""
        return processor_time(self.pid)

    @property
    def memory(self) -> int:
        """Bytes."""
        return memory(self.pid)

    def get(self, path: str) -> bytes:
        """Return its answer to a GET."""
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, timeout=60) as response:
            body: bytes = response.read()
        return body

    def stat(self, name: str) -> int:
        """One of its statistics, as ``events_total``."""
        return int(json.loads(self.get("/status"))["stats"][name])

    def wait_for_clients(self, number: int) -> None:
        """Wait until so many clients are connected, and the others forgotten."""
        while self.stat("connected_clients") != number:
            time.sleep(0.05)

    def become_ready(self) -> None:
        """Wait until it has read what the log retained."""
        while True:
            try:
                self.get("/readyz")
            except urllib.error.HTTPError:
                time.sleep(0.005)
            else:
                return


WITHOUT_UVLOOP: Final = """
import runpy, sys
sys.modules["uvloop"] = None
runpy.run_module("celery_wsprogress", run_name="__main__")
"""


@contextmanager
def sidecar(broker: str, *options: str, uvloop: bool = True) -> Iterator[Sidecar]:
    """Start one, and kill it in the end.

    Its pings are rarer than a measurement is long, it gives up no operation meanwhile, and it takes
    as many clients of one address as the largest measurement has.

    Args:
        broker: The URL of its log.
        options: More of the command line.
        uvloop: Whether it runs on uvloop, if that is installed; else on asyncio's own loop.
    """
    program = ("-m", "celery_wsprogress") if uvloop else ("-c", WITHOUT_UVLOOP)
    command = [
        *(sys.executable, *program, "serve", "--broker", broker),
        *("--port", "0", "--heartbeat", "600", "--lost-after", "86400"),
        *("--max-connections", "20000", "--address-connections", "20000"),
        *("--log-level", "error", *options),
    ]
    with started(command, MEASURED) as process:
        yield Sidecar(process)
