"""Close all connections when the sidecar stops, spread over a few seconds.

:class:`.Sidecar` calls it. Each client connects again to another sidecar, or to the next one
here, which costs that one a handshake and a replay. So connections are closed at random times,
and clients are told random times to connect again. Until its turn a client is served.

Runs in: the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from typing import TYPE_CHECKING, Final

from celery_wsprogress.protocol.close_codes import RESTARTING

if TYPE_CHECKING:
    from collections.abc import Collection

    from celery_wsprogress.sidecar.client_connection import ClientConnection

CLOSES_PER_SECOND: Final = 200.0

MAX_RETRY_DELAY: Final = 2.0
"""Seconds after which a client is to connect again, at the most."""


async def close_all(
    connections: Collection[ClientConnection], drain: float, per_second: float = CLOSES_PER_SECOND
) -> None:
    """Close the connections (1012). What is unsent for a client is sent first.

    Args:
        connections: All that are open.
        drain: Seconds that it may take. Few connections take less.
        per_second: Connections that are closed in a second, where there is time.
    """
    spread = min(drain, len(connections) / per_second)
    closing = [_close_after(random.uniform(0, spread), one) for one in connections]  # noqa: S311
    await asyncio.gather(*closing, return_exceptions=True)


async def _close_after(delay: float, connection: ClientConnection) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(connection.wait_closed(), delay)
    await connection.close_or_abort(RESTARTING, restart_reason(), flush=True)


def restart_reason() -> str:
    """Return the reason of a close frame that tells a client when to connect again."""
    return json.dumps({"retry_ms": random.randint(100, int(MAX_RETRY_DELAY * 1000))})  # noqa: S311
