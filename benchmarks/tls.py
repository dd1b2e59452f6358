"""What TLS costs a sidecar: memory of idle connections, and the processor for each frame.

The same clients connect to a sidecar without TLS and to one with it, in turns, and watch one
operation that writes lines, one when all have the last. Run it with

    python -m benchmarks.tls
"""

from __future__ import annotations

import socket
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks import sample_events
from benchmarks.log_writer import log
from benchmarks.machine import LOAD, allow_many_files, pin
from benchmarks.sidecar import sidecar
from tests.support import certificates
from tests.support.servers import RedisServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

IDLE: Final = 1_000
WATCHERS: Final = 200
LINES: Final = 200
ROUNDS: Final = 3

WELCOMED: Final = b'"event_type":"connected"'


class Taken(NamedTuple):
    """What one round took."""

    connection: float
    """Bytes of an idle connection."""
    frame: float
    """Seconds of the processor for a frame."""


def measure(files: certificates.Files | None) -> Taken:
    """Measure once, with a certificate or without."""
    options = files.options if files else ()
    context = files.trusted() if files else None
    with RedisServer() as redis, log(redis.url) as writer, sidecar(redis.url, *options) as ours:
        if files is None:
            ours.become_ready()
        with clients(ours.port, context, WATCHERS, "/ws/none-%d"):
            before = ours.memory
            with clients(ours.port, context, IDLE, "/ws/idle-%d"):
                connection = (ours.memory - before) / IDLE
        path = f"/ws/{sample_events.operation_id('line')}"
        with clients(ours.port, context, WATCHERS, path) as some:
            spent = ours.processor_time
            for number in range(LINES):
                text = f"line {number} of the work."
                writer.write(sample_events.log("line", text))
                for one in some:
                    read_until(one, text.encode())
            frame = (ours.processor_time - spent) / (LINES * WATCHERS)
    return Taken(connection, frame)


@contextmanager
def clients(
    port: int, context: ssl.SSLContext | None, number: int, path: str
) -> Iterator[list[socket.socket]]:
    """Connect clients, and wait until each has its welcome."""
    with ExitStack() as stack:
        found = []
        for index in range(number):
            one = socket.create_connection(("127.0.0.1", port), 60)
            if context is not None:
                one = context.wrap_socket(one, server_hostname="localhost")
            stack.callback(one.close)
            target = path % index if "%d" in path else path
            one.sendall(
                f"GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                "Sec-WebSocket-Version: 13\r\n\r\n".encode()
            )
            read_until(one, WELCOMED)
            found.append(one)
        yield found


def read_until(one: socket.socket, text: bytes) -> None:
    """Read until these bytes have come. Those that follow at once may be read, too."""
    read = b""
    while text not in read:
        data = one.recv(65_536)
        if not data:
            raise ConnectionError("The sidecar has closed a connection")
        read += data


def main() -> None:
    """Print the figures."""
    allow_many_files()
    pin(0, LOAD)
    with tempfile.TemporaryDirectory() as folder:
        files = certificates.make(Path(folder))
        rounds = [(measure(None), measure(files)) for _ in range(ROUNDS)]
    for name, taken in zip(("without TLS", "with TLS"), zip(*rounds, strict=True), strict=True):
        connection = median(one.connection for one in taken)
        frame = median(one.frame for one in taken)
        print(f"{name:12} idle connection {connection:7,.0f} bytes, frame {1e6 * frame:5.1f} µs")
    ratio = median(tls.frame / plain.frame for plain, tls in rounds)
    print(f"a frame with TLS against one without: {ratio:.2f} x")


if __name__ == "__main__":
    main()
