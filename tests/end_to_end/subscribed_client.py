"""Watching one operation through a real sidecar, frame by frame."""

from __future__ import annotations

import json
from contextlib import contextmanager

from support.wire_document import connect


@contextmanager
def watching(sidecar, operation_id):
    """The frames of an operation, as they come, on one connection."""
    with connect(sidecar.url, compression=None) as websocket:
        websocket.recv()
        websocket.send(json.dumps({"command": "subscribe", "operation_id": operation_id}))
        assert json.loads(websocket.recv())["status"] == "subscribed"
        yield (json.loads(frame) for frame in iter(lambda: websocket.recv(timeout=90), None))


def until(frames, *kinds):
    """The frames up to the first of these kinds."""
    seen = []
    for frame in frames:
        seen.append(frame)
        if frame["event_type"] in kinds:
            return seen
    raise AssertionError(f"none of {kinds}")


def to_the_end(frames):
    """The frames up to the operation's end."""
    return until(frames, "completed", "error")
