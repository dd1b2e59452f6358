"""What somebody types, or a pipe holds, line by line, without holding up the event loop.

The terminal itself edits the line and hands it over when it is whole. No thread waits for it:
one that does could not be ended with the program.
"""

from __future__ import annotations

import asyncio
import codecs
import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_AT_ONCE: Final = 65_536


async def read_lines() -> AsyncIterator[str]:
    """The lines of standard input as they come, without their ends, until EOF."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    rest = ""
    async for some in _chunks(sys.stdin.fileno()):
        *whole, rest = (rest + decoder.decode(some)).split("\n")
        for line in whole:
            yield line
    if rest:
        yield rest


async def _chunks(descriptor: int) -> AsyncIterator[bytes]:
    while True:
        await _readable(descriptor)
        some = os.read(descriptor, _AT_ONCE)
        if not some:
            return
        yield some


async def _readable(descriptor: int) -> None:
    """Wait until there is something to read, or the end."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:
        # A plain file cannot be waited for, and never makes anyone wait.
        return
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
