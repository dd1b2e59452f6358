"""A finished operation as a row of bytes.

Nothing more is expected of it, and somebody may still ask: it is held for that. As objects it takes
three times the memory of what it says. Packed it is one object, and whoever looks at it takes it
apart again.

Pure.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from celery_wsprogress.folding import Operation
from celery_wsprogress.history import Kept
from celery_wsprogress.positions import Position


class Label(Struct, array_like=True, gc=False):
    """What is asked of it most often: the first fields of what is packed."""

    number: int
    """Which of all operations it is."""
    heard: float
    """When its last event was taken."""
    position: Position | None
    """Where its newest event stands in the log."""


class Packed(Label, array_like=True, gc=False):
    """All of it."""

    operation: Operation
    kept: Kept


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Packed).decode
_decode_label: Final = msgspec.msgpack.Decoder(Label).decode


def pack(packed: Packed) -> bytes | None:
    """The row of bytes; None where it cannot be: MessagePack has no integers of over 64 bits."""
    try:
        # A copy: what msgspec returns has room behind it, up to half of its length.
        return bytes(memoryview(_encode(packed)))
    except OverflowError:
        return None


def unpack(packed: bytes) -> Packed:
    """What :func:`pack` was given."""
    return _decode(packed)


def label_of(packed: bytes) -> Label:
    """The first fields of it, which takes less time."""
    return _decode_label(packed)
