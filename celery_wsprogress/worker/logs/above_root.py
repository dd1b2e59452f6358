"""The place of our handler: a logger above the root logger.

``logging.basicConfig()`` does nothing once the root logger has a handler, and ``dictConfig()``
takes all of them away (CPython 3.11, logging/__init__.py and config.py). So ours is none of them: a
record goes from each logger to its parent, and the root logger is given one, which nobody else
knows.
"""

from __future__ import annotations

import logging


class HandlerAboveRoot(logging.Handler):
    """Passes each record on to a handler, and to :data:`logging.lastResort` if that was due.

    `logging` prints warnings itself as long as there is no handler at all, and counts this one.

    Args:
        handler: The other handler.
    """

    def __init__(self, handler: logging.Handler) -> None:
        super().__init__()
        self._handler = handler

    def createLock(self) -> None:  # noqa: N802 - the base's name
        """Make no lock: this handler writes to nothing that threads share."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Pass it on; return whether the other handler took it."""
        found = record.levelno >= self._handler.level and bool(self._handler.handle(record))
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and not _has_handler(record.name):
            last.handle(record)
        return found


def install(handler: logging.Handler) -> None:
    """Put a handler above the root logger; on it, if that does not propagate.

    Again and again: it is there once.
    """
    root = logging.getLogger()
    if root.parent is None:
        # Not by `getLogger()`, whose loggers are all below the root logger.
        root.parent = logging.Logger("above the root logger")  # noqa: LOG001 - see above
    if not any(isinstance(one, HandlerAboveRoot) for one in root.parent.handlers):
        root.parent.addHandler(HandlerAboveRoot(handler))
    if not root.propagate and handler not in root.handlers:
        root.addHandler(handler)


def _has_handler(name: str) -> bool:
    """Return whether a record of the logger has met a handler on its way to the root logger."""
    known = logging.Logger.manager.loggerDict.get(name)
    logger: logging.Logger | None = known if isinstance(known, logging.Logger) else logging.root
    while logger is not None and not logger.handlers:
        logger = logger.parent
    return logger is not None and logger is not logging.root.parent
