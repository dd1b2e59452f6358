"""Colours for the words that say how something stands, where a terminal shows them.

Only colours that can be read on a dark and on a light background are used: green, red and magenta,
and bold for what runs. ``NO_COLOR`` (https://no-color.org) switches them off, ``--color`` decides.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    Paint: TypeAlias = Callable[[str, str], str]
    """Takes what is to be shown, and the word that chooses the colour."""

CHOICES: Final = ("auto", "always", "never")

_GOOD: Final[dict[str, Any]] = {"fg": "green"}
_BAD: Final[dict[str, Any]] = {"fg": "red"}
_MIDDLING: Final[dict[str, Any]] = {"fg": "magenta"}
_ACTIVE: Final[dict[str, Any]] = {"bold": True}

_STYLES: Final[dict[str, dict[str, Any]]] = {
    **dict.fromkeys(("completed", "ok"), _GOOD),
    **dict.fromkeys(("error", "failed", "critical"), _BAD),
    **dict.fromkeys(("cancelled", "retrying", "stalled", "warning", "missed"), _MIDDLING),
    **dict.fromkeys(("started", "running"), _ACTIVE),
}


def choose(ctx: click.Context, choice: str) -> None:
    """Have a command use colours, or none.

    Args:
        ctx: The context of the command.
        choice: One of :data:`CHOICES`.
    """
    if choice != "auto":
        ctx.color = choice == "always"
    elif os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        ctx.color = False


def painter() -> Paint:
    """Return what colours words on standard output, or leaves them as they are."""
    ctx = click.get_current_context(silent=True)
    chosen = None if ctx is None else ctx.color
    return _painted if (sys.stdout.isatty() if chosen is None else chosen) else plain


def plain(shown: str, _word: str, /) -> str:
    """Return the text as it is."""
    return shown


def _painted(shown: str, word: str, /) -> str:
    style = _STYLES.get(word)
    return click.style(shown, **style) if style else shown
