"""What a client asks to be cancelled, on its way to Celery's workers. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol


class CancelRequest(NamedTuple):
    """What one command asks for."""

    task_ids: tuple[str, ...]
    """One, or those of a workflow."""
    terminate: bool
    """Whether the processes of tasks that run should be ended."""
    reason: str
    """A text for people; empty without one."""


class CancelOutcome(StrEnum):
    """What became of a request."""

    PENDING = "pending"
    """It is not known yet."""
    SENT = "sent"
    """The broker has it."""
    UNAVAILABLE = "unavailable"
    """The broker does not take it, or too many wait."""
    NOT_SUPPORTED = "not_supported"
    """The broker cannot tell all workers."""


class CancelSending:
    """One request on its way."""

    def __init__(self) -> None:
        self.outcome = CancelOutcome.PENDING


class Canceller(Protocol):
    """Sends requests of one client; no command of it is executed before the outcome is known."""

    def __call__(self, request: CancelRequest, /) -> CancelSending:
        """Begin to send a request."""
