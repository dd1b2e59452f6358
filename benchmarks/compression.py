"""What it would cost to compress frames (`permessage-deflate`, RFC 7692), and what it would save.

Progress frames of 200 operations in turns, as a dashboard gets them, and of one, as a page gets
them. They are compressed each by itself, once for all clients; and with what one client was sent
before as the dictionary, as each client would have to get them. Run it with

    python -m benchmarks.compression
"""

from __future__ import annotations

import random
import time
import uuid
import zlib
from itertools import product
from typing import TYPE_CHECKING, Final

from benchmarks import sample_events
from celery_wsprogress.protocol.events import Progress, ProgressData
from celery_wsprogress.protocol.frames import payload_of, text_frame
from celery_wsprogress.protocol.messages import encode_event_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FRAMES: Final = 5_000
OPERATIONS: Final = 200
WINDOW_BITS: Final = 12
"""A window of 4 KiB."""
TAIL: Final = 4
"""Bytes at the end of each message that are not sent (RFC 7692, section 7.2.1)."""


def payloads(operations: int) -> list[bytes]:
    """Return what a client gets, without the heads of the frames."""
    chance = random.Random(7)
    ids = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(operations)]
    found = []
    for number in range(FRAMES):
        at = sample_events.AT + number / 100 + chance.random() / 100
        current = number // operations % 1_000
        data = ProgressData(
            progress=current / 1_000,
            message=f"Row {current} of 1000",
            details={},
            current=current,
            total=1_000,
            rate=round(chance.uniform(50, 150), 2),
            eta=round(chance.uniform(1, 20), 2),
        )
        event = Progress(operation_id=ids[number % operations], timestamp=at, data=data)
        event_id = f"0a1b2c3d.{int(1_000 * at)}-0.{number % 20}"
        found.append(bytes(payload_of(text_frame(encode_event_frame(event, event_id)))))
    return found


def by_itself(level: int) -> Callable[[bytes], int]:
    """Return a function that compresses one payload without a dictionary."""

    def compress(payload: bytes) -> int:
        one = zlib.compressobj(level, zlib.DEFLATED, -WINDOW_BITS)
        return len(one.compress(payload) + one.flush(zlib.Z_SYNC_FLUSH)) - TAIL

    return compress


def with_a_dictionary(level: int) -> Callable[[bytes], int]:
    """Return a function that compresses one payload after another."""
    one = zlib.compressobj(level, zlib.DEFLATED, -WINDOW_BITS)
    return lambda payload: len(one.compress(payload) + one.flush(zlib.Z_SYNC_FLUSH)) - TAIL


KINDS: Final = {"by itself": by_itself, "with a dictionary": with_a_dictionary}


def measure(compress: Callable[[bytes], int], found: Sequence[bytes]) -> tuple[float, float]:
    """Return the part of the bytes that is left, and seconds a frame."""
    before = time.process_time()
    left = sum(map(compress, found))
    seconds = time.process_time() - before
    return left / sum(map(len, found)), seconds / len(found)


def main() -> None:
    """Print the figures."""
    for operations in (OPERATIONS, 1):
        found = payloads(operations)
        size = sum(map(len, found)) / len(found)
        print(f"{len(found):,} frames of {operations} operations, {size:.0f} bytes each")
        for level, (name, make) in product((1, 6), KINDS.items()):
            left, seconds = measure(make(level), found)
            print(f"level {level}, {name:18} {100 * left:3.0f} % left, {1e6 * seconds:5.1f} µs")


if __name__ == "__main__":
    main()
