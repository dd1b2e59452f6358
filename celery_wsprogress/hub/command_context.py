"""A client's question: the command with everything needed to answer it, and what it may ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery_wsprogress.errors import CommandError
from celery_wsprogress.protocol.events import MAX_ID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery_wsprogress.hub.hub import Hub
    from celery_wsprogress.hub.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandContext:
    """A command with everything needed to answer it."""

    fields: Mapping[str, Any]
    session: Session
    hub: Hub
    timestamp: float
    max_subscriptions: int
    stats: Callable[[], Mapping[str, Any]]
    """Makes the figures of ``get_stats``."""
    replayable: bool
    """Whether the log can be read again, so that what is said holds for a restarted sidecar."""
    broker_error: str = ""
    """Why the log cannot be read at present; ``""`` where it can."""

    def broker(self) -> dict[str, str]:
        """What a reply says of the broker: nothing, where all is well."""
        return {"broker_error": self.broker_error} if self.broker_error else {}

    def text(self, name: str) -> str:
        """A field that must be there, as text."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not value:
            raise CommandError("invalid_command", f"`{name}` must be a text that is not empty")
        return value

    def optional_text(self, name: str) -> str | None:
        """A field that may be left out or null, as text."""
        return None if self.fields.get(name) is None else self.text(name)

    def operation_id(self) -> str:
        """The field ``operation_id``, of an operation that the client may watch."""
        operation_id = self.text("operation_id")
        self.check_may_watch(operation_id)
        return operation_id

    def check_may_watch(self, operation_id: str) -> None:
        """Refuse what its token does not grant."""
        if len(operation_id) > MAX_ID_LENGTH:
            raise CommandError("invalid_command", f"An id has at most {MAX_ID_LENGTH} characters")
        permit = self.session.permit
        if permit.may_watch(operation_id, self.timestamp):
            return
        if permit.may_count(self.timestamp):
            raise CommandError("forbidden", f"The token does not grant operation {operation_id}")
        raise CommandError("unauthorized", "Watching needs a token here: send `authenticate` first")

    def check_may_list(self) -> None:
        """Refuse to show everything where that is not granted."""
        permit = self.session.permit
        if permit.may_list(self.timestamp):
            return
        if permit.exact_only:
            who = "A page opened from disk, or a client of a public address without a key,"
            raise CommandError("forbidden", f"{who} may watch by exact id only")
        if permit.may_count(self.timestamp):
            raise CommandError("forbidden", "The token does not grant everything (`*`)")
        raise CommandError("unauthorized", "This needs a token here: send `authenticate` first")
