"""The client of the sidecar, for Python.

.. code-block:: python

    for event in celery_wsprogress.watch(result):
        ...

:class:`Client` is for many operations on one connection, with asyncio.
:mod:`celery_wsprogress.client.watch` has the functions for one.

It speaks the wire protocol, and imports neither Celery nor a broker.
"""

from __future__ import annotations

from celery_wsprogress.client.chunk_stream import ChunkStream
from celery_wsprogress.client.client import Client
from celery_wsprogress.client.connection_change import Connected, ConnectionChange, Disconnected

__all__ = ["ChunkStream", "Client", "Connected", "ConnectionChange", "Disconnected"]
