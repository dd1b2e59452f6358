"""What the Python side and the browser's side must do alike, as data that the tests of both read.

``lives.json`` holds lives of an operation: what was written to the log, and what a sidecar made
of it: the frames it delivers and the snapshot it shows in the end. ``python tests/transcripts.py``
writes the latter two anew from the first.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from celery_wsprogress.access.permissions import Permit
from celery_wsprogress.hub.hub import Hub
from celery_wsprogress.hub.session import Session
from celery_wsprogress.protocol.batches import Batch
from celery_wsprogress.protocol.events import Event
from support.deliveries import process

FOLDER = Path(__file__).parents[1] / "transcripts"


def transcript(name: str) -> Any:
    """What one of the files holds."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def delivered(events: list[Event]) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """What a sidecar delivers of a log of one operation, event by event, and shows at the end."""
    from support.frames import decoded

    hub, session = Hub(), Session(1, Permit(None))
    operation_id = events[0].operation_id
    hub.subscriptions.subscribe(session, operation_id, replay=None, since=None)
    frames = []
    for number, event in enumerate(events, 1):
        batch = Batch("w", number, (event,), 0, (), 0.0)
        process(hub, batch, epoch="e1", position=f"{number}-0", now=100.0)
        while session.has_unread:
            frames += decoded(session.take(1_000_000, 200.0, 0.0))
    return frames, hub.get(operation_id)


def read_events(values: list[Any]) -> list[Event]:
    """Events as the log has them."""
    return [msgspec.convert(one, Event) for one in values]


def _rewrite() -> None:
    lives = transcript("lives")
    for one in lives:
        one["frames"], one["snapshot"] = delivered(read_events(one["log"]))
    text = json.dumps(lives, indent=1)
    (FOLDER / "lives.json").write_text(f"{text}\n")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    _rewrite()
