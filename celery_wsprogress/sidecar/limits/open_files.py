"""The limit on open files of the process, and how many of them connections may take.

Runs in: the event loop.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from celery_wsprogress.sidecar.sockets import BACKLOG

if TYPE_CHECKING:
    import asyncio

    from celery_wsprogress.sidecar.refusal_log import RefusalLog

if sys.platform != "win32":
    import resource

logger = logging.getLogger(__name__)

RESERVED_FILES: Final = 128
"""Descriptors that no connection takes: for the broker, the result backend, the log, and others."""

MAX_UNFINISHED_REQUESTS: Final = 500
"""Maximum number of connections that are not WebSockets yet."""

ACCEPTED_AT_ONCE: Final = 16
"""Connections that asyncio accepts in one iteration of the event loop, before any is counted."""

_UNLIMITED: Final = 1_000_000
_NO_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE})


class OpenFiles(NamedTuple):
    """The limit on open files."""

    before: int
    """The soft limit before it was raised."""
    limit: int
    """What holds now."""
    in_use: int
    """Files that are open already: many, in a process that does other work, too."""


class FileShares(NamedTuple):
    """For what the files of a process are used, beside those that are reserved."""

    connections: int
    """WebSockets."""
    unfinished: int
    """Connections that are not WebSockets yet."""
    waiting: int
    """Connections that the system holds until they are accepted, which may happen at once."""


def raise_limit() -> OpenFiles:
    """Raise the soft limit on open files to the hard limit."""
    if sys.platform == "win32":
        return OpenFiles(_UNLIMITED, _UNLIMITED, 0)
    in_use = _files_in_use()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return OpenFiles(_UNLIMITED, _UNLIMITED, in_use)
    wanted = _UNLIMITED if hard == resource.RLIM_INFINITY else hard
    if soft >= wanted:
        return OpenFiles(soft, soft, in_use)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        # macOS allows less than its hard limit says.
        return OpenFiles(soft, soft, in_use)
    return OpenFiles(soft, wanted, in_use)


def _files_in_use() -> int:
    try:
        return sum(1 for _ in Path("/dev/fd").iterdir())
    except OSError:
        return 0


def share_files(files: int, wanted: int) -> FileShares:
    """Return how many connections may be open.

    Args:
        files: Files that may still be opened.
        wanted: The setting for WebSockets.
    """
    free = files - min(RESERVED_FILES, files // 2)
    unfinished = max(1, min(MAX_UNFINISHED_REQUESTS, free // 4))
    waiting = max(1, min(BACKLOG, free // 8))
    return FileShares(max(1, min(wanted, free - unfinished - waiting)), unfinished, waiting)


def log_files(files: OpenFiles, shares: FileShares, wanted: int) -> None:
    """Write how many connections there may be; as a warning if they are fewer than wanted."""
    raised = f" (raised from {files.before})" if files.limit > files.before else ""
    text = f"At most {shares.connections} connections: this process may open {files.limit} files"
    if shares.connections < wanted:
        logger.warning("%s%s, too few for wsprogress_max_connections = %d", text, raised, wanted)
    else:
        logger.info("%s%s", text, raised)


def log_if_none_left(log: RefusalLog) -> None:
    """Write a line if no file can be opened: uvloop then closes new connections and says nothing.

    libuv accepts and closes them with a file that it keeps for that (``uv__emfile_trick``).
    """
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as exc:
        _log_no_files(exc, log)


def _log_no_files(exc: object, log: RefusalLog) -> bool:
    if not isinstance(exc, OSError) or exc.errno not in _NO_FILES:
        return False
    log.write("files", _NO_MORE_FILES, level=logging.WARNING, at_once=1)
    return True


def log_instead_of_tracebacks(loop: asyncio.AbstractEventLoop, log: RefusalLog) -> None:
    """Write a line where the event loop cannot accept a connection for want of files.

    asyncio has a traceback for each attempt (``asyncio/selector_events.py``, CPython 3.11: up to
    ``backlog`` of them a second).
    """
    before = loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if _log_no_files(context.get("exception"), log):
            return
        if before is not None:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)


_NO_MORE_FILES: Final = (
    "This process cannot open more files, so new connections wait or are closed: raise the limit "
    "on open files (ulimit -n, LimitNOFILE= of systemd)"
)
