"""Read the files again that the settings name, because an operator asks for it (SIGHUP).

Most of them are read again by themselves when they change. Here it is done at once, and the log
has a line for each.

Runs in: the event loop.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from celery_wsprogress.sidecar.file_watch import reason_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

logger = logging.getLogger(__name__)


class Source(NamedTuple):
    """Something that can be read again."""

    what: str
    """``the certificate``."""
    read_again: Callable[[], Awaitable[bool]]
    """Reads it. Returns whether it has changed. Raises OSError or ValueError if it cannot be used;
    then what was read before holds."""


async def reload(sources: Iterable[Source]) -> None:
    """Read all of them, and write a line for each, and one about what is not read again."""
    for what, read_again in sources:
        try:
            has_changed = await read_again()
        except (OSError, ValueError) as exc:
            text = "Reload: %s cannot be used, so it stays as it was: %s"
            logger.error(text, what, reason_of(exc))  # noqa: TRY400 - the reason says all
        else:
            logger.info("Reload: %s", f"{what} is new" if has_changed else f"{what} is unchanged")
    logger.info("Reload: all other settings, and the application, need a restart to change")
