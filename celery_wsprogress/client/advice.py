"""What to do about the errors of the client, as notes on the exceptions.

A traceback shows notes below the error. ``str(error)`` is without them: programs that print their
own advice, such as the command line, take that.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from celery_wsprogress.errors import CommandError, NoConnection

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOW_TO_START: Final = (
    "Start the sidecar with `celery-wsprogress serve`, or say where it is: url=… or "
    "WSPROGRESS_WS_URL."
)
_HOW_TO_GET_IN: Final = (
    "Pass a valid token that grants it: token=… or WSPROGRESS_TOKEN. "
    "celery_wsprogress.create_token() makes one, with the key of the sidecar."
)
_CODES_OF_TOKENS: Final = frozenset({"unauthorized", "forbidden"})


@contextmanager
def advice() -> Iterator[None]:
    """Add what to do to the errors that are raised inside."""
    try:
        yield
    except (CommandError, NoConnection) as exc:
        note = _note(exc)
        if note and note not in getattr(exc, "__notes__", ()):
            exc.add_note(note)
        raise


def _note(exc: CommandError | NoConnection) -> str:
    if isinstance(exc, NoConnection):
        return _HOW_TO_START if exc.code is None else _HOW_TO_GET_IN
    refused = exc.code in _CODES_OF_TOKENS
    return f"The sidecar refused it ({exc.code}). {_HOW_TO_GET_IN}" if refused else ""
