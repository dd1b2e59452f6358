"""The log of the library ``websockets``, as the sidecar wants it."""

from __future__ import annotations

import logging


def library_logger() -> logging.Logger:
    """Return the logger of websockets, without its line for each connection."""
    library = logging.getLogger("celery_wsprogress.websockets")
    library.setLevel(logging.ERROR)
    return library
