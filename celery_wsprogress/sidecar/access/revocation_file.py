"""The file of revoked tokens: read at the start, and again when it has changed.

Runs in: the event loop. The file is read in a thread.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from celery_wsprogress.access.revocations import parse_revocations
from celery_wsprogress.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.access.tokens import TokenVerifier

logger = logging.getLogger(__name__)

CHECK_INTERVAL: Final = 1.0
"""Seconds between two looks whether the file has changed."""

_Version = tuple[int, int, int]


class RevocationFile:
    """Keeps the revocations of a verifier up to date.

    A file that cannot be read any more, or has a line that is not understood, changes nothing, so
    that what was revoked stays revoked.

    Args:
        path: The file.
        verifier: Gets what is revoked.

    Raises:
        ConfigurationError: the file cannot be read, or has a line that is not understood.
    """

    def __init__(self, path: str, verifier: TokenVerifier) -> None:
        self._path = Path(path)
        self._verifier = verifier
        self._watcher: asyncio.Task[None] | None = None
        try:
            self._version = self._stat()
            verifier.revocations = parse_revocations(self._path.read_text("utf-8"))
        except (OSError, ValueError) as exc:
            allowed = f"a file with lines jti:<id> and sub:<name> ({_reason(exc)})"
            raise ConfigurationError("wsprogress_revoked_tokens", path, allowed) from None

    def start(self, on_change: Callable[[], None]) -> None:
        """Watch the file from now on, and call a function when it has changed."""
        self._watcher = asyncio.get_running_loop().create_task(self._watch(on_change))

    async def stop(self) -> None:
        """Watch it no longer."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)

    async def _watch(self, on_change: Callable[[], None]) -> None:
        complained = ""
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            try:
                if await self._reload_if_changed():
                    on_change()
                complained = ""
            except (OSError, ValueError) as exc:
                if _reason(exc) != complained:
                    complained = _reason(exc)
                    logger.error("The revoked tokens stay as they were: %s", complained)  # noqa: TRY400 - the reason says all

    async def _reload_if_changed(self) -> bool:
        version = await asyncio.to_thread(self._stat)
        if version == self._version:
            return False
        text = await asyncio.to_thread(self._path.read_text, "utf-8")
        self._verifier.revocations = parse_revocations(text)
        # Only now: a file with a bad line is looked at again.
        self._version = version
        return True

    def _stat(self) -> _Version:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino


def _reason(exc: Exception) -> str:
    return (exc.strerror or "it cannot be read") if isinstance(exc, OSError) else str(exc)
