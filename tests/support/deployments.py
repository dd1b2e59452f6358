"""What stands in ``docs/deploy``, run on this machine: with other paths and ports, else as it is.

Nothing here knows pytest.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import shlex
import shutil
import signal
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self
from urllib.error import HTTPError
from urllib.request import urlopen

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.nginx import run_nginx
from support.ports import free_port
from support.programs import OURS
from support.services import start_service

if TYPE_CHECKING:
    import subprocess

FOLDER: Final = Path(__file__).parents[2] / "docs" / "deploy"

PROGRAM: Final = "/srv/proj/.venv/bin/celery-wsprogress"

_APPLICATION: Final = 'from celery import Celery\n\napp = Celery("proj", broker={url!r})\n'


def unit(name: str) -> dict[str, list[str]]:
    """The lines of a file of systemd: the values of each name, in their order."""
    found: dict[str, list[str]] = {}
    for line in (FOLDER / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


class Service:
    """One sidecar of ``wsprogress@.service``, with the socket of ``wsprogress@.socket``.

    As with systemd, the socket is open before the sidecar starts, and stays open.

    Args:
        instance: What stands for ``%i``.
        run: The folder that stands for ``/run/wsprogress``.
        project: The folder that stands for ``/srv/proj``, with ``proj.py``.
    """

    def __init__(self, instance: str, run: Path, project: Path) -> None:
        [path] = unit("wsprogress@.socket")["ListenStream"]
        self.path = path.replace("%i", instance).replace("/run/wsprogress", str(run))
        self._project = project
        self._log = project / f"log-{instance}"
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen(128)
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notices.bind(str(run / f"notify-{instance}"))
        self._notices.settimeout(60)
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End it at once, and close its socket."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)
        self._socket.close()
        self._notices.close()

    def start(self) -> None:
        """Start it by the line of its unit; returns when it says that it is ready."""
        [line] = unit("wsprogress@.service")["ExecStart"]
        program, *arguments = shlex.split(line)
        assert program == PROGRAM
        with self._log.open("a") as log:
            self.process = start_service(
                [*OURS, *arguments],
                log,
                passed=self._socket.fileno(),
                environment={"NOTIFY_SOCKET": str(self._notices.getsockname())},
                folder=self._project,
            )
        assert self.next_notice() == "READY=1", self.output

    def stop(self) -> int:
        """End it as ``systemctl stop`` does; returns its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.next_notice() == "STOPPING=1", self.output
        return self.process.wait(60)

    def next_notice(self) -> str:
        """What it tells systemd next."""
        return self._notices.recv(100).decode()

    @property
    def output(self) -> str:
        """What it has written to the journal."""
        return self._log.read_text()


class Site:
    """The whole machine: nginx with ``nginx.conf``, and two services behind it.

    Args:
        broker: Its URL.
    """

    def __init__(self, broker: str) -> None:
        self._broker = broker
        # Not pytest's folder: the path of a Unix socket may have 107 bytes at the most.
        self._folder = Path(tempfile.mkdtemp(prefix="wsp-site-"))
        self.certificate = self._folder / "fullchain.pem"
        self.port, self.plain_port, self.local_port = free_port(), free_port(), free_port()
        self.services: list[Service] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self._folder)
            (self._folder / "proj.py").write_text(_APPLICATION.format(url=self._broker))
            for name in "12":
                self.services.append(stack.enter_context(Service(name, self._folder, self._folder)))
            make_certificate(self.certificate, self._folder / "key.pem")
            stack.enter_context(run_nginx(self._configuration()))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """Where clients find the sidecars."""
        return f"wss://127.0.0.1:{self.port}/progress/"

    def is_ready(self, instance: str) -> bool:
        """What ``/readyz`` of one sidecar says, by the way that is for the machine itself."""
        try:
            with urlopen(f"http://127.0.0.1:{self.local_port}/{instance}/readyz", timeout=60) as it:
                return it.status == 200
        except HTTPError:
            return False

    def _configuration(self) -> str:
        text = re.sub(
            r"^ *listen \[::\].*\n", "", (FOLDER / "nginx.conf").read_text(), flags=re.MULTILINE
        )
        for written, here in {
            "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
            "listen 443 ": f"listen 127.0.0.1:{self.port} ",
            "listen 127.0.0.1:9180;": f"listen 127.0.0.1:{self.local_port};",
            "/run/wsprogress/": f"{self._folder}/",
            "/etc/ssl/example.org/": f"{self._folder}/",
            "/srv/site": str(self._folder),
        }.items():
            assert written in text, written
            text = text.replace(written, here)
        return text


def make_certificate(certificate: Path, key: Path) -> None:
    """Make one that signs itself, for example.org and 127.0.0.1, with its key."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "example.org")])
    names = [x509.DNSName("example.org"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, private.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
