"""What the log says of refused host names and origins, with the option that would allow them.

:mod:`.handshake` finds them, and :mod:`.request_handler` writes the lines. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from celery_wsprogress.origins import host_name, origin
from celery_wsprogress.printable import escape_control

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MAX_NAME_LENGTH: Final = 200
_NAME: Final = re.compile(r"[A-Za-z0-9.:/\[\]_-]+")
"""A name that is safe to paste into a command line."""

_PARSERS: Final[Mapping[str, Callable[[str], str]]] = {
    "--allow-host": host_name,
    "--origin": origin,
}
"""What the options take."""


class RefusedHeader(NamedTuple):
    """A ``Host`` or ``Origin`` that is not allowed."""

    what: str
    """``host name`` or ``origin``."""
    option: str
    """The option of ``serve`` that would allow it: one without a name lets in all of its kind.
    Empty where none would."""
    name: str
    """The name in the request; empty where the request has none, or several."""


def describe_refusal(refused: RefusedHeader, client: str) -> str:
    """Return the line for the log.

    Args:
        refused: What is not allowed.
        client: Who has sent the request.
    """
    what, option, name = refused
    if not name:
        return f"Refused a request from {client} with no {what}, or more than one"
    line = f"Refused a request from {client} with the {what} "
    line += escape_control(name, _MAX_NAME_LENGTH)
    if option and option not in _PARSERS:
        return f"{line}; {option} would let it in"
    return f"{line}; {option} {name} would let it in" if option and _is_for(option, name) else line


def _is_for(option: str, name: str) -> bool:
    """Return whether an option takes a name that is safe to paste into a command line."""
    if len(name) > _MAX_NAME_LENGTH or not _NAME.fullmatch(name):
        return False
    try:
        _PARSERS[option](name)
    except (ValueError, UnicodeError):
        return False
    return True
