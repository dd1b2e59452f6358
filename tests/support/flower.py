"""A Flower for tests: the real program, with a configuration file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from support.conditions import eventually
from support.ports import free_port


class Flower:
    """``celery flower``, on a port of its own, until the end of the ``with``.

    Args:
        broker: The URL of the broker.
        configuration: The text of ``flowerconfig.py``.
    """

    def __init__(self, broker: str, configuration: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="wsp-flower-")
        folder = Path(self._folder.name)
        file = folder / "flowerconfig.py"
        file.write_text(configuration)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._output = folder / "output.log"
        command = [
            *(sys.executable, "-m", "celery", "-b", broker, "flower"),
            *("--address=127.0.0.1", f"--port={port}", f"--conf={file}"),
        ]
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FLOWER_")},
            # The package of this tree, whichever one is installed.
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "FLOWER_UNAUTHENTICATED_API": "true",
        }
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        try:
            eventually(self._answers, timeout=90)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._end()

    def page(self, path: str, **query: object) -> str:
        """What it serves at a path, which must be there."""
        return self._get(f"{path}?{urlencode(query)}").decode()

    def task(self, task_id: str) -> dict[str, Any]:
        """What its API has of a task; empty where it does not know it yet."""
        try:
            return json.loads(self._get(f"/api/task/info/{task_id}"))
        except urllib.error.HTTPError:
            return {}

    def _answers(self) -> bool:
        assert self._process.poll() is None, self._output.read_text()
        try:
            return bool(self._get("/healthcheck"))
        except OSError:
            return False

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=30) as response:
            return response.read()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()
