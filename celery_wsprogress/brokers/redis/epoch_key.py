"""The epoch of the log on Redis: a random value in the key ``<stream>.epoch``.

Used by :mod:`.reader`. The key is gone when the server has lost its data, and the first reader that
finds the log's end before its own position replaces the value. Writers create it, and readers where
they may: a reader needs no right to write.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import redis

from celery_wsprogress.brokers.failure import error_context
from celery_wsprogress.brokers.redis.exchange import EXPIRY, new_epoch
from celery_wsprogress.protocol.event_ids import MAX_EPOCH_LENGTH, is_epoch

logger = logging.getLogger(__name__)


class EpochKey:
    """Reads, creates and replaces the epoch of one stream.

    Args:
        client: A ``redis.Redis``.
        stream: The stream's name, with the key prefix.
    """

    def __init__(self, client: Any, stream: str) -> None:
        self._client = client
        self._key = f"{stream}.epoch"

    def extend_expiry(self) -> None:
        """Let the key expire in :data:`.exchange.EXPIRY` seconds."""
        self._client.expire(self._key, EXPIRY)

    def get_or_create(self, proposed: str) -> str:
        """Return the stored epoch; ``""`` where there is none and this user may store none."""
        found = self._read()
        if found == "":
            with contextlib.suppress(redis.ResponseError):
                self._client.set(self._key, proposed, nx=True, ex=EXPIRY)
            found = self._read()
        if found is None:
            logger.warning(
                "The key %s holds something that names no event log. It is replaced, and clients "
                "start without their history", self._key,
            )  # fmt: skip
            found = self.replace(None)
        return found

    def replace(self, lost: str | None) -> str:
        """Store a new epoch in place of ``lost``, unless another reader has done so.

        Returns:
            The stored epoch; ``""`` for none.
        """

        def replace(pipe: Any) -> None:
            # The key is watched: EXEC fails if it changes after this (optimistic locking).
            found = self._read(pipe)
            pipe.multi()
            if found == lost:
                pipe.set(self._key, new_epoch(), ex=EXPIRY)

        with contextlib.suppress(redis.ResponseError):
            self._client.transaction(replace, self._key)
        return self._read() or ""

    def _read(self, client: Any = None) -> str | None:
        """Return the stored epoch; ``""`` where there is none, None where it is no epoch."""
        with error_context("GETRANGE", self._key):
            try:
                # A part only: another program may have stored a large value here.
                found = (client or self._client).getrange(self._key, 0, MAX_EPOCH_LENGTH)
            except redis.ResponseError as exc:
                if "WRONGTYPE" in str(exc):
                    return None
                raise
        value = found.decode(errors="replace") if isinstance(found, bytes) else str(found)
        return value if not value or is_epoch(value) else None
