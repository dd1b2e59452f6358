"""A real nginx in front of a sidecar, as it stands in front of most sites."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from support.conditions import eventually
from support.ports import free_port
from support.servers import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator

#: All of its processes run as the user of the tests.
_MAIN: Final = """
daemon off; {user} worker_processes 1; pid {folder}/pid; error_log {folder}/errors;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
  uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
  types {{ text/html html; text/javascript js; }}
  include {folder}/site.conf;
}}
"""

_SITE: Final = """
server {{
  listen 127.0.0.1:{port};
  root {site};
  location {prefix} {{
    proxy_pass http://{target}{removed};
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection "upgrade";
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  }}
}}
"""

_PORT: Final = re.compile(r"^\s*listen 127\.0\.0\.1:(\d+)", re.MULTILINE)


@contextmanager
def nginx(
    site: Path, target: int | Path, prefix: str, *, removes_prefix: bool = True
) -> Iterator[str]:
    """Serve a folder, and what listens under a prefix; gives the site's address.

    Args:
        site: The folder.
        target: The port, or the Unix socket, of what is served under the prefix.
        prefix: The path.
        removes_prefix: Whether what is served does not see it.
    """
    port = free_port()
    upstream = f"unix:{target}:" if isinstance(target, Path) else f"127.0.0.1:{target}"
    values = {"port": port, "site": site, "target": upstream, "prefix": prefix}
    with run_nginx(_SITE.format(**values, removed="/" if removes_prefix else "")):
        yield f"http://127.0.0.1:{port}"


class Nginx:
    """One that runs."""

    def __init__(self, folder: Path, configuration: str) -> None:
        self._site = folder / "site.conf"
        self._site.write_text(configuration)
        file = folder / "nginx.conf"
        # A master that is root gives its workers to another user, unless it is told not to.
        user = "user root;" if os.geteuid() == 0 else ""
        file.write_text(_MAIN.format(folder=folder, user=user))
        command = [find_program("nginx"), "-c", str(file), "-p", str(folder)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._errors = folder / "errors"

    def wait_until_it_listens(self) -> None:
        """On each port of its configuration."""
        for port in map(int, _PORT.findall(self._site.read_text())):
            eventually(
                lambda port=port: _listens(port) or self._process.poll() is not None,
                what=f"nginx to listen on {port}",
            )
        assert self._process.poll() is None, self._errors.read_text()

    def reload(self, configuration: str) -> None:
        """Serve what is new by another configuration, and what is open as before."""
        before = psutil.Process(self._process.pid).children()
        self._site.write_text(configuration)
        self._process.send_signal(signal.SIGHUP)
        eventually(lambda: all(map(_is_leaving, before)), what="nginx to reload")
        self.wait_until_it_listens()

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(60)


@contextmanager
def run_nginx(configuration: str) -> Iterator[Nginx]:
    """Run it until the block ends, once it listens on each port.

    Args:
        configuration: What stands in the block ``http``, with ports of 127.0.0.1 only.
    """
    with tempfile.TemporaryDirectory(prefix="wsp-nginx-") as folder:
        server = Nginx(Path(folder), configuration)
        try:
            server.wait_until_it_listens()
            yield server
        finally:
            server.stop()


def _is_leaving(worker: psutil.Process) -> bool:
    """Whether a process of nginx takes no new connections."""
    try:
        return "shutting down" in " ".join(worker.cmdline())
    except psutil.NoSuchProcess:
        return True


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False
