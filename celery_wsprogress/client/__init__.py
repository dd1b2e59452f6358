"""A client of the sidecar, for Python programs with an event loop.

.. code-block:: python

    async with Client("ws://localhost:8765") as client:
        await client.subscribe(task_id)
        async for event in client:
            ...

It imports no Celery and no broker: what it speaks is the wire protocol.
"""

from __future__ import annotations

from celery_wsprogress.client.client import Change, Client, Connected, Lost

__all__ = ["Change", "Client", "Connected", "Lost"]
