"""An asyncio client of the sidecar.

.. code-block:: python

    async with Client("ws://localhost:8765") as client:
        await client.subscribe(task_id)
        async for event in client:
            ...

It speaks the wire protocol, and imports neither Celery nor a broker.
"""

from __future__ import annotations

from celery_wsprogress.client.chunk_stream import ChunkStream
from celery_wsprogress.client.client import Client
from celery_wsprogress.client.connection_change import Connected, ConnectionChange, Disconnected

__all__ = ["ChunkStream", "Client", "Connected", "ConnectionChange", "Disconnected"]
