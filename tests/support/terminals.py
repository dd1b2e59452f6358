"""Programs in a real pseudo-terminal, and what a person would see there."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import termios
import threading
from typing import TYPE_CHECKING, Final, Self

from support.conditions import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COLUMNS: Final = 80
INTERRUPT: Final = "\x03"
END_OF_INPUT: Final = "\x04"


class Terminal:
    """A program with a terminal of its own, as its controlling one: Ctrl-C reaches it.

    Args:
        command: The program and its arguments.
        environment: All of its environment but ``TERM``.
        folder: Where it runs.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: os.PathLike[str]
    ) -> None:
        self._ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (24, COLUMNS))
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "TERM": "xterm"},
            preexec_fn=lambda: os.login_tty(theirs),  # noqa: PLW1509 - there is no other way
        )
        os.close(theirs)
        self._bytes = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.process.kill()
        self.process.wait(60)
        self._reader.join(60)
        os.close(self._ours)

    def _read(self) -> None:
        # Linux says EIO once the last program has closed its side.
        with contextlib.suppress(OSError):
            while some := os.read(self._ours, 65_536):
                self._bytes += some

    @property
    def output(self) -> str:
        """Everything it has written, as it wrote it."""
        return self._bytes.decode(errors="replace")

    @property
    def screen(self) -> list[str]:
        """What stands on an endless screen by now."""
        return rendered(self.output)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._ours, text.encode())

    def wait_for(self, text: str) -> None:
        """Wait until a line on the screen holds this."""
        eventually(lambda: any(text in line for line in self.screen), what=f"{text} on the screen")

    def wait(self) -> int:
        """Wait until it ends, and has been read; returns its exit code."""
        code = self.process.wait(240)
        self._reader.join(60)
        return code


_SEQUENCE: Final = re.compile(r"\x1b\[([\d;]*)([AJKm])")


def rendered(output: str) -> list[str]:
    """The lines a terminal shows.

    For programs that move the cursor by ``CR`` and upwards by CUU, and erase by EL and ED.
    """
    lines, column, row = [""], 0, 0
    at = 0
    while at < len(output):
        sequence = _SEQUENCE.match(output, at)
        if sequence is not None:
            at = sequence.end()
            number, kind = sequence.groups()
            if kind == "m":
                # A colour: it takes no place.
                continue
            if kind == "A":
                row = max(0, row - int(number))
                continue
            lines[row] = lines[row][:column]
            if kind == "J":
                del lines[row + 1 :]
            continue
        one = output[at]
        at += 1
        assert one != "\x1b", f"an escape sequence nobody expected: {output[at : at + 20]!r}"
        if one == "\n":
            row += 1
            column = 0
            lines += [""] * (row == len(lines))
        elif one == "\r":
            column = 0
        else:
            lines[row] = lines[row][:column] + one + lines[row][column + 1 :]
            column += 1
    return lines
