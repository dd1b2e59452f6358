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

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.conditions import eventually
from support.nginx import run_nginx
from support.ports import free_port
from support.programs import OURS
from support.services import UnixHTTP, start_service

if TYPE_CHECKING:
    import subprocess

FOLDER: Final = Path(__file__).parents[2] / "docs" / "deploy"

PROGRAM: Final = "/srv/proj/.venv/bin/celery-wsprogress"

#: A busy machine is neither a dead client nor a lost task.
_PATIENT: Final = {"WSPROGRESS_HEARTBEAT": "600", "WSPROGRESS_LOST_AFTER": "3600"}

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

    As with systemd, the socket is open before the sidecar starts.

    Args:
        instance: What stands for ``%i``.
        run: The folder that stands for ``/run/wsprogress``.
        project: The folder that stands for ``/srv/proj``, with ``proj.py``.
    """

    def __init__(self, instance: str, run: Path, project: Path) -> None:
        [path] = unit("wsprogress@.socket")["ListenStream"]
        self.path = Path(path.replace("%i", instance).replace("/run/wsprogress", str(run)))
        self._project = project
        self._log = project / f"log-{instance}"
        self._socket = socket.socket(socket.AF_UNIX)
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notices.bind(str(run / f"notify-{instance}"))
        self._notices.settimeout(120)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End it at once, and close its socket."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)
        self._socket.close()
        self._notices.close()

    def start(self) -> None:
        """Start both units; returns when the sidecar has read the log."""
        self.path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self.path))
        self._socket.listen(128)
        self._start_sidecar()

    def restart(self) -> int:
        """Restart the sidecar, on the same socket; returns the exit code of the one before."""
        code = self._stop_sidecar()
        self._start_sidecar()
        return code

    def stop(self) -> int:
        """Stop both units; returns the exit code of the sidecar."""
        code = self._stop_sidecar()
        self._socket.close()
        return code

    def _start_sidecar(self) -> None:
        [line] = unit("wsprogress@.service")["ExecStart"]
        program, *arguments = shlex.split(line)
        assert program == PROGRAM
        with self._log.open("a") as log:
            self._process = start_service(
                [*OURS, *arguments],
                log,
                passed=self._socket.fileno(),
                environment={"NOTIFY_SOCKET": str(self._notices.getsockname()), **_PATIENT},
                folder=self._project,
            )
        assert self._next_notice() == "READY=1", self.output
        eventually(lambda: UnixHTTP(self.path).ask("/readyz")[0] == 200, what="a ready sidecar")

    def _stop_sidecar(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        assert self._next_notice() == "STOPPING=1", self.output
        return self._process.wait(60)

    def _next_notice(self) -> str:
        return self._notices.recv(100).decode()

    @property
    def output(self) -> str:
        """What it has written to the journal."""
        return self._log.read_text()

    @property
    def clients(self) -> int:
        """How many are connected."""
        _, text = UnixHTTP(self.path).ask("/metrics")
        [found] = re.findall(rb"^\w*_connected_clients (\d+)$", text, re.MULTILINE)
        return int(found)


class Site:
    """The whole machine: nginx with ``nginx.conf``, and the two services behind it.

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
        with self._stack:
            self._stack.callback(shutil.rmtree, self._folder)
            (self._folder / "proj.py").write_text(_APPLICATION.format(url=self._broker))
            for name in "12":
                self.add(name)
            make_certificate(self.certificate, self._folder / "key.pem")
            self._nginx = self._stack.enter_context(run_nginx(self._configuration("12")))
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def add(self, name: str) -> Service:
        """Start one more sidecar."""
        service = self._stack.enter_context(Service(name, self._folder, self._folder))
        self.services.append(service)
        return service

    @property
    def url(self) -> str:
        """Where clients find the sidecars."""
        return f"wss://127.0.0.1:{self.port}/progress/"

    def send_to(self, names: str) -> None:
        """List these sidecars in nginx, instead of others, and reload it."""
        self._nginx.reload(self._configuration(names))

    def _configuration(self, names: str) -> str:
        text = (FOLDER / "nginx.conf").read_text()
        text = re.sub(r"^ *listen \[::\].*\n", "", text, flags=re.MULTILINE)
        lines = re.findall(r"^.*\.sock max_fails=0;\n", text, re.MULTILINE)
        listed = "".join(lines[0].replace("1.sock", f"{name}.sock") for name in names)
        for written, here in {
            "".join(lines): listed,
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
