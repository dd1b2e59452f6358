"""What a session has to send, as its client reads it."""

from __future__ import annotations

import json
from typing import Any

_LENGTHS = {126: 2, 127: 8}


def unframed(data: bytes) -> list[bytes]:
    """The texts of the WebSocket frames of a server that stand one behind the other."""
    found = []
    while data:
        assert data[0] == 0x81, "a whole text frame"
        more = _LENGTHS.get(data[1], 0)
        length = int.from_bytes(data[2 : 2 + more]) if more else data[1]
        text, data = data[2 + more : 2 + more + length], data[2 + more + length :]
        assert len(text) == length, "the frame is whole"
        found.append(text)
    return found


def decoded(data: bytes) -> list[Any]:
    """The same, as values."""
    return [json.loads(text) for text in unframed(data)]
