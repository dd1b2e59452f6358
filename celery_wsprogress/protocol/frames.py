"""WebSocket frames around a text (RFC 6455, section 5.2).

A server does not mask its frames, and this one never negotiates an extension
(``compression=None``). So the bytes of a frame are the same for every client, and are made once,
with the text.

Pure.
"""

from __future__ import annotations

from typing import Final


def text_frame(text: bytes) -> bytes:
    """Wrap a text in one frame: FIN, opcode ``text``, and the length in its shortest form."""
    length = len(text)
    if length < 126:
        return b"\x81%c%b" % (length, text)
    if length < 65_536:
        return b"\x81\x7e%b%b" % (length.to_bytes(2), text)
    return b"\x81\x7f%b%b" % (length.to_bytes(8), text)


def payload_of(frame: bytes) -> bytes:
    """Return the text in a frame that :func:`text_frame` has made."""
    return frame[_HEADER_BYTES.get(frame[1], 2) :]


def payloads_of(frames: bytes) -> list[bytes]:
    """Return the texts in joined frames that :func:`text_frame` has made, in their order."""
    payloads: list[bytes] = []
    at = 0
    while at < len(frames):
        length = frames[at + 1]
        start = at + _HEADER_BYTES.get(length, 2)
        if length >= 126:
            length = int.from_bytes(frames[at + 2 : start])
        at = start + length
        payloads.append(frames[start:at])
    return payloads


_HEADER_BYTES: Final = {126: 4, 127: 10}
"""Length of the header by its second byte; 2 for all others."""
