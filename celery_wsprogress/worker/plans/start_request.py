"""What a call of :func:`celery_wsprogress.start` says of the canvas that it sends."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class StartRequest:
    """The metadata and tags of one call, until a workflow or a task has taken them.

    Args:
        header: They, as our header has them.
    """

    def __init__(self, header: Mapping[str, Any]) -> None:
        self._header: Mapping[str, Any] | None = header
        self.workflow_id = ""
        """The id of the workflow that was sent; empty for a single task."""

    @property
    def taken(self) -> bool:
        """Whether somebody has taken the header: what is sent now is something else."""
        return self._header is None

    def take_header(self, workflow_id: str = "") -> Mapping[str, Any] | None:
        """Return the header, to the first that asks."""
        header, self._header = self._header, None
        if header is not None:
            self.workflow_id = workflow_id
        return header


def pending_start() -> StartRequest | None:
    """Return the call in this context whose canvas is not sent yet, if any."""
    start = current_start.get()
    return None if start is None or start.taken else start


#: The call in this context, if any.
current_start: ContextVar[StartRequest | None] = ContextVar("celery_wsprogress.start", default=None)
