"""The frame around a text on the WebSocket (RFC 6455, 5.2).

A server masks nothing, and no extension is ever negotiated (``compression=None``), so the bytes of
a frame are the same for every client: they are made once, when the text is.

Pure.
"""

from __future__ import annotations


def framed(text: bytes) -> bytes:
    """The text as one frame: FIN and opcode ``text``, and the length in its shortest form."""
    length = len(text)
    if length < 126:
        return b"\x81%c%b" % (length, text)
    if length < 65_536:
        return b"\x81\x7e%b%b" % (length.to_bytes(2), text)
    return b"\x81\x7f%b%b" % (length.to_bytes(8), text)


def text_of(frame: bytes) -> bytes:
    """The text of one frame that :func:`framed` has made."""
    return frame[_HEADER.get(frame[1], 2) :]


_HEADER = {126: 4, 127: 10}
"""Bytes before the text, by the first length; 2 for all others."""
