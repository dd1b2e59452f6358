"""The two ways of a request: what its client says, and what it is sent.

They are those of ASGI (HTTP & WebSocket specification 2.5): each message is a mapping with a
``type``. So what serves a client by them runs in the ASGI application and in the sidecar.

Pure.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from websockets.http11 import Response

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class Channel(NamedTuple):
    """The two ways of a request."""

    receive: Receive
    send: Send
    """Waits while the client takes nothing. Raises OSError if the client is gone."""


_HOP_BY_HOP: Final = frozenset({"connection", "upgrade"})
"""Headers about the connection, which is the server's."""


def encode_headers(response: Response) -> list[tuple[bytes, bytes]]:
    """Return the headers of a response, as the message that begins it has them."""
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers.raw_items()
        if name.lower() not in _HOP_BY_HOP
    ]
