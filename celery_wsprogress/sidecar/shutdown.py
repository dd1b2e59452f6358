"""Sending the clients away when the sidecar stops: each at a time of its own.

Each of them comes back to somebody, as a handshake and a replay, so they go at random times over
a while, and are told random times to come back. Until it is its turn a client is served.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from typing import TYPE_CHECKING, Final

from celery_wsprogress.protocol import close_codes

if TYPE_CHECKING:
    from collections.abc import Collection

    from celery_wsprogress.sidecar.connection import ProgressConnection

CLOSES_PER_SECOND: Final = 200
"""Connections that are closed in a second, where there is time."""

MAX_RETRY_DELAY: Final = 2.0
"""Seconds after which a client is to come back, at the most."""


async def close_all(connections: Collection[ProgressConnection], over: float) -> None:
    """Close the connections, with what there is for their clients sent before.

    Args:
        connections: All of them.
        over: Seconds that it may take. Few connections take less.
    """
    spread = min(over, len(connections) / CLOSES_PER_SECOND)
    leaving = [_dismiss(one, random.uniform(0, spread)) for one in connections]  # noqa: S311
    await asyncio.gather(*leaving, return_exceptions=True)


async def _dismiss(connection: ProgressConnection, delay: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(connection.wait_closed(), delay)
    retry_ms = random.randint(100, int(MAX_RETRY_DELAY * 1000))  # noqa: S311
    await connection.dismiss(close_codes.RESTARTING, json.dumps({"retry_ms": retry_ms}), flush=True)
