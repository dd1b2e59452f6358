"""Files that are read at the start, and again when they have changed.

Runs in: the event loop. The files are read in a thread.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

CHECK_INTERVAL: Final = 1.0
"""Seconds between two looks whether a file has changed."""

Content = TypeVar("Content")

_Version = tuple[int, int, int] | None
"""None of a file that is not there."""


class FileWatch(Generic[Content]):
    """Watches some files that belong together.

    What cannot be read, or is not understood, changes nothing. It is looked at again, and an error
    is logged once.

    Args:
        what: What the log says where they cannot be used: ``The revoked tokens stay as they were``.
        paths: The files.
        read: Reads them; called in a thread. Raises OSError or ValueError if they cannot be used.
        use: Gets what was read; called in the event loop.
        interval: Seconds between two looks.
    """

    def __init__(
        self,
        what: str,
        paths: Sequence[str],
        read: Callable[[], Content],
        use: Callable[[Content], None],
        interval: float = CHECK_INTERVAL,
    ) -> None:
        self._what = what
        self._paths = [Path(one) for one in paths]
        self._read = read
        self._use = use
        self._interval = interval
        self._versions: list[_Version] = []
        self._watcher: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    def read_first(self) -> None:
        """Read the files for the first time; to be called before :meth:`start`.

        Raises:
            OSError: one of them cannot be read.
            ValueError: what they hold cannot be used.
        """
        self._versions = [_version(one) for one in self._paths]
        self._use(self._read())

    def start(self) -> None:
        """Watch the files from now on."""
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def stop(self) -> None:
        """Watch them no longer."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)

    async def _watch(self) -> None:
        complained = ""
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.read_again()
                complained = ""
            except (OSError, ValueError) as exc:
                if reason_of(exc) != complained:
                    complained = reason_of(exc)
                    logger.error("%s: %s", self._what, complained)  # noqa: TRY400 - the reason says all

    async def read_again(self) -> bool:
        """Read the files if they have changed. Return whether they have.

        Raises:
            OSError: one of them cannot be read. What was read before holds.
            ValueError: what they hold cannot be used. What was read before holds.
        """
        # One after the other: a slow read must not put back what a later one has replaced.
        async with self._lock:
            versions = await asyncio.to_thread(lambda: [_version(one) for one in self._paths])
            if versions == self._versions:
                return False
            self._use(await asyncio.to_thread(self._read))
            # Only now: files that cannot be used are looked at again.
            self._versions = versions
            return True


def _version(path: Path) -> _Version:
    try:
        found = path.stat()
    except OSError:
        # To read it says why.
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def reason_of(exc: Exception) -> str:
    """Return why files cannot be used, as part of a sentence; nothing that they hold."""
    return (exc.strerror or "it cannot be read") if isinstance(exc, OSError) else str(exc)
