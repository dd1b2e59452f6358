"""What a user of the client wants to watch, and where: ids, addresses and tokens.

It knows the results of Celery by their attributes, and does not import Celery.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from celery_wsprogress.client.resume_state import EVERYTHING
from celery_wsprogress.protocol.workflow_ids import is_workflow, workflow_operation_id
from celery_wsprogress.urls import DEFAULT_URL, URL_VARIABLE

if TYPE_CHECKING:
    from celery_wsprogress.client.reconnecting_client import Token

TOKEN_VARIABLE: Final = "WSPROGRESS_TOKEN"  # noqa: S105 - the name of a variable

Target: TypeAlias = Any
"""An id, an ``AsyncResult``, a ``GroupResult``, or what ``celery_wsprogress.start()`` returned."""


def operation_id_of(target: Target, workflow: bool | None = None) -> str:
    """Return the id of the operation that shows this.

    Args:
        target: What to watch.
        workflow: Whether a chain, a group or a chord is meant, and not the one task that has this
            id. By default as the target says: a ``GroupResult`` is a workflow, an id is a task.

    Raises:
        TypeError: it has no id.
        ValueError: the id is empty, or that of everything.
    """
    own = getattr(target, "operation_id", None)
    if workflow is None and isinstance(own, str):
        return own
    found = target if isinstance(target, str) else getattr(target, "id", own)
    if not isinstance(found, str):
        raise TypeError(
            f"cannot watch {type(target).__name__!r}: it must be an id (str), an AsyncResult, a "
            "GroupResult, or what celery_wsprogress.start() returned"
        )
    if found in {"", EVERYTHING}:
        raise ValueError(f"{found!r} is not the id of one operation")
    # Only the result of a group has several results.
    whole = hasattr(target, "results") if workflow is None else workflow
    return workflow_operation_id(found) if whole and not is_workflow(found) else found


def url_or_default(url: str | None) -> str:
    """Return the address of the sidecar: this one, else that of the environment."""
    return url or os.environ.get(URL_VARIABLE) or DEFAULT_URL


def token_for(target: Target, token: Token) -> Token:
    """Return the token to show: this one, else that of the target, else of the environment."""
    own = getattr(target, "token", None)
    return token or (own if isinstance(own, str) else None) or os.environ.get(TOKEN_VARIABLE)
