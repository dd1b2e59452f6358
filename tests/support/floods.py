"""What a client may flood a sidecar with, and a client that does."""

from __future__ import annotations

import json
import socket
from typing import Any, Self

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A frame of a client, with a mask of zeros."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes([(0x80 if fin else 0) | opcode]) + length + bytes(4) + payload


def command(name: str, **fields: Any) -> bytes:
    """A command, in a frame."""
    return frame(1, json.dumps({"command": name, **fields}).encode())


FLOODS = {
    "lists": command("list_operations"),
    "lists without a match": command("list_operations", tag="none"),
    "histories": command("get_history", operation_id="op-0"),
    "statistics": command("get_stats"),
    "selections": command("subscribe", operation_id="*", replay="all")
    + command("unsubscribe", operation_id="*"),
    "globs": b"".join(command("subscribe", operation_type=f"*{one}*") for one in range(50)),
    "ids": command("subscribe", operation_ids=[f"x-{one}" for one in range(500)])
    + command("unsubscribe", operation_ids=[f"x-{one}" for one in range(500)]),
    "bad tokens": command("authenticate", token="x" * 100),
    "no commands": frame(1, b"{"),
    "pings": frame(9),
    "pings that want long pongs": frame(9, b"x" * 125),
    "pongs": frame(10),
    "fragments": frame(1, b"x", fin=False) + frame(0, b"x", fin=False) * 100,
    "fragments without an end": frame(1, b" ", fin=False) + frame(0, b" " * 1_000, fin=False) * 900,
}


class Attacker:
    """A client that sends and reads nothing, as fast as the sidecar lets it.

    Args:
        port: Of the sidecar, on 127.0.0.1.
        flood: What it sends, again and again.
        address: The address that it comes from: another one of 127.0.0.0/8, or nothing.
    """

    def __init__(self, port: int, flood: bytes, address: str = "") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), source_address=(address, 0))
        self._socket.sendall(UPGRADE)
        assert b" 101 " in self._socket.recv(4_096)
        self._socket.setblocking(False)
        self._flood = flood * (200_000 // len(flood) + 1)
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """Of its socket, to wait for."""
        return self._socket.fileno()

    def send(self) -> None:
        """Send what the socket takes."""
        try:
            for _ in range(10):
                self._rest = self._rest or self._flood
                self._rest = self._rest[self._socket.send(self._rest) :]
        except OSError:
            # The socket is full, or the sidecar has closed it.
            return
