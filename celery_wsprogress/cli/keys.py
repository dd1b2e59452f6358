"""Keys that are pressed in a terminal, one by one, without Enter and without an echo."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
import tty
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

UP: Final = "up"
DOWN: Final = "down"
ENTER: Final = "enter"
ESCAPE: Final = "escape"
BACKSPACE: Final = "backspace"

_NAMES: Final = {
    "\x1b[A": UP,
    "\x1bOA": UP,
    "\x1b[B": DOWN,
    "\x1bOB": DOWN,
    "\r": ENTER,
    "\n": ENTER,
    "\x1b": ESCAPE,
    "\x7f": BACKSPACE,
    "\b": BACKSPACE,
}


def parse_keys(text: str) -> list[str]:
    """Return the keys in what a terminal has sent: names of some, else the character itself."""
    keys = []
    while text:
        length = 3 if text[:3] in _NAMES else 1
        key, text = text[:length], text[length:]
        if key in _NAMES:
            keys.append(_NAMES[key])
        elif key.isprintable():
            keys.append(key)
    return keys


@contextlib.contextmanager
def pressed_keys() -> Iterator[asyncio.Queue[str]]:
    """Put the terminal of standard input into a mode that gives each key at once.

    Ctrl-C interrupts as ever. The mode of before is restored in the end.
    """
    descriptor, keys = sys.stdin.fileno(), asyncio.Queue[str]()
    before = termios.tcgetattr(descriptor)
    loop = asyncio.get_running_loop()

    def read() -> None:
        text = os.read(descriptor, 1_024).decode(errors="replace")
        if not text:
            loop.remove_reader(descriptor)
        for key in parse_keys(text):
            keys.put_nowait(key)

    tty.setcbreak(descriptor, termios.TCSADRAIN)
    loop.add_reader(descriptor, read)
    try:
        yield keys
    finally:
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
