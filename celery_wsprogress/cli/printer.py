"""Print events and messages to a terminal or a pipe.

In a terminal the progress of a single operation is one line that is rewritten; that of several is
drawn by :mod:`.bars_printer`. In a pipe nothing is rewritten, and progress gives a line only when
its percentage changes. The client commands
(:mod:`.watch`, :mod:`.monitor`, :mod:`.interactive`) use it; :mod:`.event_lines` makes the lines.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from celery_wsprogress.cli.colors import painter
from celery_wsprogress.cli.event_lines import (
    countdown_line,
    event_line,
    percent,
    short_name,
    short_names,
    truncate_to_width,
)
from celery_wsprogress.cli.progress_bar import progress_bar
from celery_wsprogress.cli.progress_pace import ProgressPace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_REMEMBERED: Final = 10_000
"""Operations of which the last percentage is remembered."""

_REWRITE: Final = "\r\x1b[K"

_REWRITE_BLOCK: Final = "\r\x1b[{}A\x1b[J"
"""Goes up so many lines, and erases what is below."""


def is_terminal(stream: TextIO) -> bool:
    """Return whether lines can be rewritten there."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def erase_block(drawn: str) -> str:
    """Return what erases lines in a terminal, if the cursor is at the end of the last."""
    above = drawn.count("\n")
    return _REWRITE_BLOCK.format(above) if above else _REWRITE


def terminal_columns(stream: TextIO) -> int | None:
    """Return how many columns a line may have there; None where it is no terminal.

    The last column stays free: some terminals begin a new line after it.
    """
    return shutil.get_terminal_size().columns - 1 if is_terminal(stream) else None


class Printer:
    """Prints events, other lines and warnings.

    :attr:`refresh_interval` is the number of seconds after which to call :meth:`refresh` again.

    Args:
        ids: The operations that are watched, if they are known. A single one is not named in
            its lines.
        as_json: Print each event as JSON, unchanged.
        prompt: The prompt of the line that the user types.
        rewrite: Whether a terminal may show progress as lines that are rewritten.
        interval: Seconds between two lines of progress of an operation, where they are not.
    """

    refresh_interval = 1.0

    def __init__(
        self,
        ids: Iterable[str] = (),
        *,
        as_json: bool = False,
        prompt: str = "",
        rewrite: bool = True,
        interval: float = 0.0,
    ) -> None:
        self.as_json = as_json
        self._out = sys.stdout
        self._paint = painter()
        self._names = short_names(ids)
        self._terminal = is_terminal(self._out)
        self._prompt = prompt if self._terminal else ""
        self._rewrites = rewrite and self._terminal and len(self._names) == 1 and not as_json
        self._bar = ""
        self._waiting: Mapping[str, Any] | None = None
        """The latest event of the only operation, if that waits for its time."""
        self._pace = ProgressPace(interval)
        self._percents: OrderedDict[str, int] = OrderedDict()
        reconfigure = getattr(self._out, "reconfigure", None)
        if reconfigure is not None:
            # A character that the terminal's encoding lacks must not raise.
            reconfigure(errors="backslashreplace")

    @property
    def prompts(self) -> bool:
        """Whether there is a prompt."""
        return bool(self._prompt)

    def event(self, event: Mapping[str, Any]) -> None:
        """Print an event. One of unexpected form is printed as JSON."""
        try:
            self._event(event)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            self.print_line(json.dumps(event))

    def _event(self, event: Mapping[str, Any]) -> None:
        if self.as_json:
            self.print_line(json.dumps(event))
        elif event.get("event_type") != "progress":
            self._print_event(event)
        elif self._rewrites:
            self._show_bar(progress_bar(event, shutil.get_terminal_size().columns - 1))
        elif self._percent_changed(event):
            operation_id = str(event.get("operation_id"))
            self._print_progress(self._pace.take(operation_id, event, time.monotonic()))

    def refresh(self, now: float, /) -> None:
        """Print progress that was held back, and how long the only operation waits to start.

        Args:
            now: Epoch seconds.
        """
        for event in self._pace.due(time.monotonic()):
            self._print_progress(event)
        line = countdown_line(self._waiting, now) if self._waiting else ""
        if line:
            self._show_bar(line)
        elif self._waiting:
            self._end_bar()

    def print_line(self, text: str) -> None:
        """Print a line above the bar or the prompt."""
        if self._bar or self._prompt:
            text = self._erase() + text
        self._write(f"{text}\n{self._bar or self._prompt}")

    def warn(self, text: str) -> None:
        """Print a message that is not an event to standard error."""
        if self._prompt:
            self._write(_REWRITE)
        waiting = self._waiting
        self._end_bar()
        self._waiting = waiting
        click.echo(text, err=True)
        self.show_prompt()

    def show_prompt(self) -> None:
        """Print the prompt."""
        if self._prompt:
            self._write(self._prompt)

    def stop_prompting(self) -> None:
        """Print no more prompts. The cursor is at the beginning of a line."""
        self._prompt = ""

    def close(self) -> None:
        """End the line of the bar or the prompt."""
        if self._bar or self._prompt:
            self._bar = self._prompt = ""
            self._write("\n")

    def _end_bar(self) -> None:
        """End the line of the bar; that of a countdown is removed."""
        if self._bar:
            erase = self._erase()
            self._bar = ""
            self._write(erase if self._waiting else "\n")
        self._waiting = None

    def _erase(self) -> str:
        """Return what erases the bar, or the prompt."""
        return erase_block(self._bar)

    def _print_progress(self, event: Mapping[str, Any] | None) -> None:
        if event is not None:
            self.print_line(event_line(event, self._name(event), self._paint))

    def _print_event(self, event: Mapping[str, Any]) -> None:
        """Print an event that is not progress. Each but a log line ends the bar."""
        self._print_progress(self._pace.flush(str(event.get("operation_id"))))
        if event.get("event_type") != "log":
            self._end_bar()
        if event.get("event_type") == "status" and event["data"].get("status") == "started":
            self._percents.pop(str(event.get("operation_id")), None)
        self.print_line(event_line(event, self._name(event), self._paint))
        if self._rewrites and event.get("event_type") == "status" and "starts_at" in event["data"]:
            self._waiting = event

    def _show_bar(self, text: str) -> None:
        self._show_block([text], shutil.get_terminal_size().columns)

    def _show_block(self, lines: Iterable[str], columns: int) -> None:
        """Show lines in place of the bar."""
        erase = self._erase()
        # The last column stays free: some terminals begin a new line after it.
        self._bar = "\n".join(truncate_to_width(one, columns - 1) for one in lines)
        self._write(erase + self._bar)

    def _percent_changed(self, event: Mapping[str, Any]) -> bool:
        operation_id, present = str(event.get("operation_id")), percent(event["data"])
        before = self._percents.get(operation_id)
        self._percents[operation_id] = present
        self._percents.move_to_end(operation_id)
        if len(self._percents) > MAX_REMEMBERED:
            self._percents.popitem(last=False)
        return before != present

    def _name(self, event: Mapping[str, Any]) -> str:
        if len(self._names) == 1:
            return ""
        operation_id = str(event.get("operation_id", ""))
        return self._names.get(operation_id) or short_name(operation_id)

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
