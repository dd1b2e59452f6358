"""Read the lines of standard input without blocking the event loop.

The terminal edits the line and passes it on when it is complete. There is no reading thread: it
could not be stopped when the program ends.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CHUNK_BYTES: Final = 65_536


async def read_lines() -> AsyncIterator[str]:
    """Give the lines of standard input as they come, without line ends, until EOF."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    partial = ""
    async for some in _chunks(sys.stdin.fileno()):
        *whole, partial = (partial + decoder.decode(some)).split("\n")
        for line in whole:
            yield line
    if partial:
        yield partial


async def _chunks(descriptor: int) -> AsyncIterator[bytes]:
    while True:
        await _readable(descriptor)
        some = os.read(descriptor, _CHUNK_BYTES)
        if not some:
            return
        yield some


async def _readable(descriptor: int) -> None:
    """Wait until a read would not block."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:
        # epoll rejects regular files, and reading them never blocks.
        return
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
