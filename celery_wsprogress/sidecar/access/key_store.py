"""The keys that verify tokens, from settings, files and URLs; the latter two are read again.

Public keys are read at the start, then every :data:`REFRESH_INTERVAL`, and when a token names a key
that is not known: the issuer may have begun to use a new one. Tokens may name any key, so that is
done once in :data:`MIN_REFRESH_INTERVAL` at the most.

Runs in: the event loop. Files and URLs are read in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Final

from celery_wsprogress.access.keys import HS256, KeySet, VerificationKey, read_public_keys
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.printable import escape_control
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from celery_wsprogress.access.tokens import TokenVerifier
    from celery_wsprogress.settings import ServeSettings

logger = logging.getLogger(__name__)

REFRESH_INTERVAL: Final = 300.0
"""Seconds after which public keys are read again."""

MIN_REFRESH_INTERVAL: Final = 30.0
"""Minimum seconds between two reads of the public keys that tokens have asked for."""

FETCH_TIMEOUT: Final = 5.0
"""Seconds that a server of keys may be silent."""

MAX_DOCUMENT_BYTES: Final = 1_000_000
"""Maximum size of a file or a response with keys."""


class KeyStore:
    """Keeps the keys of a verifier up to date.

    Args:
        settings: Names the keys and their places.
        verifier: Gets the keys.
        clock: Gives monotonic seconds.

    Raises:
        ConfigurationError: a file cannot be read, or holds no public key.
    """

    def __init__(
        self,
        settings: ServeSettings,
        verifier: TokenVerifier,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secrets = _secrets(settings)
        self._verifier = verifier
        self._clock = clock
        self._by_place: dict[str, list[VerificationKey]] = {}
        self._places = settings.public_keys
        self._asked_at = -MIN_REFRESH_INTERVAL
        self._reading: asyncio.Task[None] | None = None
        self._refresher: asyncio.Task[None] | None = None
        for place in self._places:
            if not _is_url(place):
                self._by_place[place] = _read_checked(place)
        self._update()

    def start(self) -> None:
        """Fetch the keys that are not in files, and read all of them again from time to time."""
        if self._places:
            self._refresher = asyncio.get_running_loop().create_task(self._refresh_regularly())

    async def stop(self) -> None:
        """End the work in the background."""
        tasks = [one for one in (self._refresher, self._reading) if one is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def refresh(self) -> None:
        """Read the public keys again, unless that was done lately; wait for a read under way."""
        if self._reading is None:
            now = self._clock()
            if not self._places or now - self._asked_at < MIN_REFRESH_INTERVAL:
                return
            self._asked_at = now
        await self._read_together()

    async def read_again(self) -> bool:
        """Read the public keys now. Return whether they have changed.

        Those of a place that cannot be read stay, and a line says so.
        """
        before = dict(self._by_place)
        await self._read_together()
        return before != self._by_place

    async def _read_together(self) -> None:
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read_all())
        # A client that goes away does not stop the read that others wait for.
        await asyncio.shield(self._reading)

    async def _refresh_regularly(self) -> None:
        while True:
            await self._read_together()
            await asyncio.sleep(REFRESH_INTERVAL)

    async def _read_all(self) -> None:
        try:
            for place in self._places:
                try:
                    self._by_place[place] = await asyncio.to_thread(_read, place)
                except (OSError, ValueError, HTTPException) as exc:
                    # The keys that it held before stay.
                    reason = escape_control(str(exc), 300)
                    logger.warning("The keys of %s cannot be read: %s", masked(place), reason)
            self._update()
        finally:
            self._reading = None

    def _update(self) -> None:
        public = [key for place in self._places for key in self._by_place.get(place, ())]
        try:
            self._verifier.keys = KeySet([*self._secrets, *public])
        except ValueError as exc:
            logger.warning("The keys stay as they were: %s", exc)


def _secrets(settings: ServeSettings) -> list[VerificationKey]:
    named = [VerificationKey(HS256, key, kid) for kid, key in (settings.keys or {}).items()]
    return named if settings.key is None else [*named, VerificationKey(HS256, settings.key)]


def _is_url(place: str) -> bool:
    return "://" in place


def _read_checked(place: str) -> list[VerificationKey]:
    try:
        return _read(place)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        allowed = f"files and URLs of public keys ({reason})"
        raise ConfigurationError("wsprogress_public_keys", place, allowed) from None


def _read(place: str) -> list[VerificationKey]:
    """Read the keys of a file or URL. Runs in: a thread, or before the loop."""
    if not _is_url(place):
        with Path(place).open("rb") as file:
            return _parse(file)
    request = urllib.request.Request(place, headers={"Accept": "application/json"})  # noqa: S310 - the setting allows http and https only
    with _OPENER.open(request, timeout=FETCH_TIMEOUT) as response:
        return _parse(response)


def _parse(source: IO[bytes]) -> list[VerificationKey]:
    document = source.read(MAX_DOCUMENT_BYTES + 1)
    if len(document) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"it has more than {MAX_DOCUMENT_BYTES:,} bytes")
    return read_public_keys(document.decode("utf-8", "replace"))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: keys come from where the setting says, and from nowhere else."""

    def redirect_request(self, *_: object) -> None:
        """Refuse."""


_OPENER: Final = urllib.request.build_opener(_NoRedirect)
