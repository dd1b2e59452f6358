"""A real nginx in front of a sidecar, as it stands in front of most sites."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.conditions import eventually
from support.ports import free_port
from support.servers import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator

#: In one process, which runs as the user of the tests.
_MAIN: Final = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
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


@contextmanager
def run_nginx(configuration: str) -> Iterator[None]:
    """Run it until the block ends, once it listens on each port.

    Args:
        configuration: What stands in the block ``http``, with ports of 127.0.0.1 only.
    """
    with tempfile.TemporaryDirectory(prefix="wsp-nginx-") as folder:
        Path(folder, "site.conf").write_text(configuration)
        file = Path(folder, "nginx.conf")
        file.write_text(_MAIN.format(folder=folder))
        command = [find_program("nginx"), "-c", str(file), "-p", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            ports = [int(one) for one in _PORT.findall(configuration)]
            errors = Path(folder, "errors")
            for port in ports:
                eventually(
                    lambda port=port: _listens(port) or process.poll(),
                    what=f"nginx to listen on {port}",
                )
            assert process.poll() is None, errors.read_text()
            yield
        finally:
            process.terminate()
            process.wait(60)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False
