"""The context of a command: its fields, its session, the hub, and checks of both. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from celery_wsprogress.access.grants import Pattern, PatternKind
from celery_wsprogress.errors import CommandError
from celery_wsprogress.hub.disclosure import shown_snapshot
from celery_wsprogress.operations.selector import SelectorField
from celery_wsprogress.printable import escape_control
from celery_wsprogress.protocol.events import MAX_ID_LENGTH
from celery_wsprogress.protocol.workflow_ids import workflow_operation_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from celery_wsprogress.hub.cancel_request import Canceller
    from celery_wsprogress.hub.hub import Hub
    from celery_wsprogress.hub.session import Session
    from celery_wsprogress.operations.operation import Operation
    from celery_wsprogress.operations.selector import Selector

_EXACT_ONLY: Final = (
    "A page opened from disk, or a client of a public address without a key, may watch by exact "
    "id only"
)
_NOT_SELECTED: Final = (
    "The token does not grant all that this may select: it needs `*`, or the pattern itself"
)
_CANCELS_NOTHING: Final = (
    "Nobody may cancel anything here: the server needs a key, or `serve --allow-cancel` on a "
    "loopback address; and no page from disk may"
)
_AUTHENTICATE_FIRST: Final = "This server requires a token: send `authenticate` first"

MAX_QUOTED_LENGTH: Final = 200
"""Maximum number of characters of an id that an error quotes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandContext:
    """The context of one command. Its methods raise :class:`.CommandError`."""

    fields: Mapping[str, Any]
    session: Session
    hub: Hub
    timestamp: float
    """Epoch seconds now."""
    max_subscriptions: int
    stats: Callable[[], Mapping[str, Any]]
    """Returns the figures of ``get_stats``."""
    replayable: bool
    """Whether a restarted sidecar can read the log again."""
    canceller: Canceller | None = None
    """Sends what the client asks to be cancelled; None where no worker can be reached."""
    broker_error: str = ""
    """The reason why the log cannot be read at present; empty if it can."""

    def broker(self) -> dict[str, str]:
        """Return the fields of a reply that describe the broker; none if it can be read."""
        return {"broker_error": self.broker_error} if self.broker_error else {}

    def text(self, name: str) -> str:
        """Return a required text field."""
        value = self.fields.get(name)
        if not isinstance(value, str) or not value:
            raise CommandError("invalid_command", f"`{name}` must be a string that is not empty")
        return value

    def optional_text(self, name: str) -> str | None:
        """Return a text field; None if it is left out or null."""
        return None if self.fields.get(name) is None else self.text(name)

    def flag(self, name: str) -> bool:
        """Return a field that is true or false; False if it is left out or null."""
        value = self.fields.get(name)
        if value is not None and not isinstance(value, bool):
            raise CommandError("invalid_command", f"`{name}` must be true or false")
        return bool(value)

    def operation_id(self) -> str:
        """Return the id of the operation that is named, if the client may watch it."""
        operation_id = self.named_operation_id()
        self.check_may_watch(operation_id)
        return operation_id

    def named_operation_id(self) -> str:
        """Return the field ``operation_id``, or the id of the operation of ``workflow_id``."""
        workflow_id = self.optional_text("workflow_id")
        if workflow_id is None:
            return self.text("operation_id")
        return workflow_operation_id(workflow_id)

    def snapshot(self, operation_id: str) -> dict[str, Any] | None:
        """Return what the client is shown of an operation; None if it is not held."""
        self.hub.show_workflow(operation_id)
        record = self.hub.store.get(operation_id)
        if record is None:
            return None
        return shown_snapshot(record, self.session.permit, self.timestamp)

    def check_may_watch(self, operation_id: str) -> None:
        """Refuse an operation that no token of the client grants."""
        operation = self._find(operation_id)
        if not self.session.permit.may_watch(operation_id, self.timestamp, operation):
            # The same answer for an id that nobody has heard of: who may not know learns nothing.
            quoted = escape_control(operation_id, MAX_QUOTED_LENGTH)
            self._refuse(f"The token does not grant operation {quoted}")

    def check_may_cancel(self, operation_id: str) -> None:
        """Refuse an operation that no token of the client lets it cancel."""
        permit, operation = self.session.permit, self._find(operation_id)
        if not permit.may_cancel(operation_id, self.timestamp, operation):
            quoted = escape_control(operation_id, MAX_QUOTED_LENGTH)
            granted = f"The token does not grant to cancel operation {quoted} (`can`)"
            self._refuse(_CANCELS_NOTHING if permit.is_open else granted)

    def _find(self, operation_id: str) -> Operation | None:
        if len(operation_id) > MAX_ID_LENGTH:
            raise CommandError("invalid_command", f"An id has at most {MAX_ID_LENGTH} characters")
        record = self.hub.store.get(operation_id)
        return None if record is None else record.operation

    def check_may_select(self, selector: Selector) -> None:
        """Refuse a selector of which no token of the client grants all that it may match."""
        if not self.session.permit.may_select(pattern_of(selector), self.timestamp):
            self._refuse(_EXACT_ONLY if self.session.permit.exact_only else _NOT_SELECTED)

    def check_may_list(self, filters: Sequence[Selector]) -> None:
        """Refuse a list of which no token of the client grants all that it may show."""
        patterns = [pattern_of(one) for one in filters]
        if not self.session.permit.may_list(self.timestamp, patterns):
            self._refuse(_EXACT_ONLY if self.session.permit.exact_only else _NOT_SELECTED)

    def check_may_count(self) -> None:
        """Refuse the statistics if no token of the client grants them."""
        if not self.session.permit.may_count(self.timestamp):
            self._refuse("The token does not grant the statistics (`can`)")

    def _refuse(self, reason: str) -> NoReturn:
        if not self.session.permit.is_authenticated(self.timestamp):
            raise CommandError("unauthorized", _AUTHENTICATE_FIRST)
        raise CommandError("forbidden", reason)


_KINDS: Final = {
    SelectorField.EVERYTHING: PatternKind.ID,
    SelectorField.OPERATION_TYPE: PatternKind.TYPE,
    SelectorField.TAG: PatternKind.TAG,
    SelectorField.GROUP: PatternKind.GROUP,
    SelectorField.ROOT: PatternKind.ROOT,
    SelectorField.STEPS: PatternKind.WORKFLOW,
}


def pattern_of(selector: Selector) -> Pattern:
    """Return the pattern that a token has to cover for a selector."""
    return Pattern(_KINDS[selector.by], selector.value)
