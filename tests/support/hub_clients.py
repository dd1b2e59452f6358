"""A client of a hub, without a socket: commands in, frames out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from celery_wsprogress.hub.commands import execute
from celery_wsprogress.hub.session import Session
from celery_wsprogress.hub.steps import take_all
from support.deliveries import deliver
from support.frames import unframed
from support.tokens import NOW

if TYPE_CHECKING:
    from celery_wsprogress.access.permissions import Permit
    from celery_wsprogress.hub.hub import Hub

MAX_SUBSCRIPTIONS = 1_000


class HubClient:
    """A client that reads all that it is sent.

    Args:
        hub: The operations.
        permit: Its rights, at the moment of :data:`~support.tokens.NOW`.
        replayable: Whether the log can be read again.
        max_subscriptions: Of the client.
    """

    def __init__(
        self,
        hub: Hub,
        permit: Permit,
        *,
        replayable: bool = True,
        max_subscriptions: int = MAX_SUBSCRIPTIONS,
    ) -> None:
        self.hub = hub
        self.session = Session(1, permit)
        self.replayable = replayable
        self.max_subscriptions = max_subscriptions

    def send(self, frame: str, now: float = 0.0) -> list[bytes]:
        """Send the text of a frame; what is read then. The reply comes first."""
        steps = execute(
            frame,
            self.session,
            self.hub,
            timestamp=NOW,
            max_subscriptions=self.max_subscriptions,
            stats=lambda: {"connected_clients": 1, **self.hub.stats()},
            replayable=self.replayable,
        )
        take_all(steps)
        return self.read(now)

    def ask(self, command: str, **fields: Any) -> list[bytes]:
        """Send a command; what is read then."""
        return self.send(json.dumps({"command": command, **fields}))

    def read(self, now: float = 0.0) -> list[bytes]:
        """All that there is to read: the texts of frames."""
        found = []
        while self.session.has_unread and not self.session.too_slow:
            found += unframed(self.session.take(65_536, now, NOW))
        return found

    def read_live(self, now: float = 0.0) -> list[bytes]:
        """The same, when the hub has notified its sessions of what is new."""
        deliver(self.hub)
        return self.read(now)
