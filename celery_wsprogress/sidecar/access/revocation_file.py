"""The file of revoked tokens: read at the start, and again when it has changed.

Runs in: the event loop. The file is read in a thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from celery_wsprogress.access.revocations import parse_revocations
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.sidecar.file_watch import CHECK_INTERVAL, FileWatch, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery_wsprogress.access.revocations import Revocations
    from celery_wsprogress.access.tokens import TokenVerifier


class RevocationFile:
    """Keeps the revocations of a verifier up to date.

    A file that cannot be read any more, or has a line that is not understood, changes nothing, so
    that what was revoked stays revoked.

    Args:
        path: The file.
        verifier: Gets what is revoked.
        interval: Seconds between two looks whether the file has changed.

    Raises:
        ConfigurationError: the file cannot be read, or has a line that is not understood.
    """

    def __init__(
        self, path: str, verifier: TokenVerifier, interval: float = CHECK_INTERVAL
    ) -> None:
        self._path = Path(path)
        self._verifier = verifier
        self._on_change: Callable[[], None] | None = None
        self._watch = FileWatch(
            "The revoked tokens stay as they were", [path], self._read, self._use, interval
        )
        try:
            self._watch.read_first()
        except (OSError, ValueError) as exc:
            allowed = f"a file with lines jti:<id> and sub:<name> ({reason_of(exc)})"
            raise ConfigurationError("wsprogress_revoked_tokens", path, allowed) from None

    def start(self, on_change: Callable[[], None]) -> None:
        """Watch the file from now on, and call a function when it has changed."""
        self._on_change = on_change
        self._watch.start()

    async def read_again(self) -> bool:
        """Read the file if it has changed. Return whether it has.

        Raises:
            OSError: it cannot be read. What was read before holds.
            ValueError: a line is not understood. What was read before holds.
        """
        return await self._watch.read_again()

    async def stop(self) -> None:
        """Watch it no longer."""
        await self._watch.stop()

    def _read(self) -> Revocations:
        return parse_revocations(self._path.read_text("utf-8"))

    def _use(self, revocations: Revocations) -> None:
        self._verifier.revocations = revocations
        if self._on_change is not None:
            self._on_change()
