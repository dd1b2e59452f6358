"""Heads of HTTP requests: bytes as they come from the socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.tokens import token
from fuzz.values import GLOBS, OPERATIONS, broken, number, some, text

if TYPE_CHECKING:
    from random import Random

METHODS = ["GET"] * 8 + ["HEAD", "OPTIONS", "POST", "get", "", "\x00"]
PATHS = [
    "/", "/healthz", "/readyz", "/status", "/metrics", "/operations", "/operations/", "/client.js",
    "/element.js", "/ws/", "/ws/op-1", "//", "/../etc/passwd", "/%2e%2e/x", "*", "http://x/", "",
]  # fmt: skip
ESCAPES = ["%00", "%ff", "%", "%2", "%zz", "%ed%a0%80", "%F0%9F%98%80", "+", "?", "#", "&", "="]
HOSTS = [
    "localhost:8765", "127.0.0.1", "[::1]:8765", "[::1", "evil.example", "localhost:99999",
    "x" * 500,
    "localhost:", "a@localhost", "localhost\u2100", "[v1.x]", "1.1.1.1.", "",
    "127.1", "localhost:\u0663",
]  # fmt: skip
ORIGINS = [
    "null", "http://localhost:3000", "https://evil.example", "http://[::1", "file://", "", "http://",
    "http://localhost:0", "http://localhost:x", "http://localhost/path", "//localhost", "http://\u2100",
]  # fmt: skip


def path(rng: Random) -> str:
    """A target: a path, now and then with odd escapes and a query."""
    found = some(rng, PATHS)
    if found in {"/operations/", "/ws/"}:
        found += some(rng, [*OPERATIONS, text(rng), "x" * 1_001])
        found += some(rng, ["", "", "/events"])
    if rng.random() < 0.3:
        found += "".join(some(rng, ESCAPES) for _ in range(rng.randrange(5)))
    if rng.random() < 0.5:
        found += "?" + "&".join(_pair(rng) for _ in range(some(rng, [0, 1, 2, 4, 150])))
    return found


def _pair(rng: Random) -> str:
    name = some(rng, ["state", "operation_type", "tag", "limit", "cursor", "x", text(rng)])
    found = some(rng, ["running", "1", "5", "٣", "9" * 30, str(number(rng)), text(rng), *GLOBS])
    return f"{name}={found}"


def head(rng: Random) -> bytes:
    """The head of one request."""
    target = path(rng).replace(" ", "%20")
    version = some(rng, ["HTTP/1.1"] * 9 + ["HTTP/1.0", "HTTP/2", ""])
    lines = [f"{some(rng, METHODS)} {target} {version}"]
    headers = [("Host", some(rng, HOSTS) if rng.random() < 0.3 else "localhost:8765")]
    if rng.random() < 0.4:
        headers.append(("Origin", some(rng, ORIGINS)))
    if rng.random() < 0.4:
        scheme = some(rng, ["Bearer", "bearer", "Basic", ""])
        headers.append(("Authorization", f"{scheme} {token(rng).text}"))
    if rng.random() < 0.5:
        headers += [
            ("Upgrade", some(rng, ["websocket", "WebSocket", "h2c"])),
            ("Connection", some(rng, ["Upgrade", "keep-alive, Upgrade", "close"])),
            ("Sec-WebSocket-Key", some(rng, ["dGhlIHNhbXBsZSBub25jZQ==", "x", ""])),
            ("Sec-WebSocket-Version", some(rng, ["13", "8", "x"])),
        ]
    for _ in range(some(rng, [0, 0, 1, 2, 130])):
        name = some(
            rng, ["Cookie", "If-None-Match", "X-Forwarded-For", "Sec-Fetch-Site", text(rng)]
        )
        headers.append((name, text(rng)))
    if rng.random() < 0.1:
        headers.append(some(rng, headers))
    lines += [f"{name}: {found}" for name, found in headers]
    written = "\r\n".join([*lines, "", ""])
    if rng.random() < 0.2:
        written = broken(rng, written)
    encoding = some(rng, ["utf-8", "latin-1"])
    return written.encode(encoding, errors="replace" if encoding == "latin-1" else "surrogatepass")
