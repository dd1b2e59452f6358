"""Encode the chunks of a stream. Every ``timestamp`` is epoch seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from celery_wsprogress.protocol import batches
from celery_wsprogress.protocol.events import Chunk, ChunkData
from celery_wsprogress.worker.publishing.queue_entries import EncodedEvent, Priority

if TYPE_CHECKING:
    from celery_wsprogress.worker.run_info import RunInfo


def chunk(
    run: RunInfo, timestamp: float, stream: str, index: int, value: Any, *, truncated: bool = False
) -> EncodedEvent:
    """Encode a chunk: its number in the stream, and a text or another value of builtins."""
    data = ChunkData(stream=stream, index=index, chunk=value, truncated=truncated or UNSET)
    return _encode(Priority.LOG, run, timestamp, data)


def stream_closed(run: RunInfo, timestamp: float, stream: str, index: int) -> EncodedEvent:
    """Encode the last chunk of a stream, which is empty."""
    data = ChunkData(stream=stream, index=index, chunk=None, closed=True)
    return _encode(Priority.STATUS, run, timestamp, data)


def _encode(priority: Priority, run: RunInfo, timestamp: float, data: ChunkData) -> EncodedEvent:
    event = Chunk(operation_id=run.operation_id, timestamp=timestamp, run=run.run_id, data=data)
    return EncodedEvent(priority, batches.encode_event(event), run)
