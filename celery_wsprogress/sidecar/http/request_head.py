"""The head of a request while it is read: how large it may be, and why it is refused.

websockets parses it, and refuses what is no head of HTTP, or has too long lines. Pure.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from websockets.exceptions import SecurityError

if TYPE_CHECKING:
    from websockets.server import ServerProtocol

MAX_HEAD_BYTES: Final = 65_536
"""Maximum size of the head of a request: websockets alone allows 128 headers of 8 KiB."""


class RequestHead:
    """The head of one request.

    Args:
        protocol: Parses it.
    """

    __slots__ = ("_bytes", "_is_refused", "_protocol")

    def __init__(self, protocol: ServerProtocol) -> None:
        self._protocol = protocol
        self._bytes = 0
        self._is_refused = False

    def is_too_large(self, more: int) -> bool:
        """Count bytes. Return True once, when there are too many, and the response was written."""
        self._bytes += more
        if self._bytes <= MAX_HEAD_BYTES or self._is_refused:
            return False
        self._is_refused = True
        text = f"The head of a request has at most {MAX_HEAD_BYTES:,} bytes\n"
        status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        self._protocol.send_response(self._protocol.reject(status, text))
        return True

    def refused_as(self) -> str | None:
        """Return as what websockets has refused it, once: ``head`` (431, 414) or ``malformed``."""
        exc = self._protocol.handshake_exc
        if exc is None or self._is_refused:
            return None
        self._is_refused = True
        return "head" if isinstance(exc, SecurityError) else "malformed"
