"""``start()``: send a task or a canvas, and hold what a page needs to watch it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import celery

from celery_wsprogress.access.issue import DEFAULT_EXPIRES_IN, create_token, has_key
from celery_wsprogress.protocol.workflow_ids import workflow_operation_id
from celery_wsprogress.worker import sending_apps
from celery_wsprogress.worker.apps import publishing_of
from celery_wsprogress.worker.plans.start_request import StartRequest, current_start
from celery_wsprogress.worker.signals.handlers import connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from celery_wsprogress.client.watch import Watch


class Started:
    """A task or a workflow that was sent by :func:`start`."""

    result: Any
    """Celery's result: of a task, of the last task of a chain, of the body of a chord, or of a
    group."""
    id: str
    """Its id: the id of the task, or of the workflow."""
    is_workflow: bool
    """Whether it is more than one task."""
    token: str | None
    """A token that lets its holder watch this task, or this workflow and its tasks, and nothing
    else; None where no key is set."""

    def __init__(self, result: Any, *, is_workflow: bool, token: str | None) -> None:
        self.result = result
        self.id = str(result.id)
        self.is_workflow = is_workflow
        self.token = token

    @property
    def operation_id(self) -> str:
        """The id of the operation that shows it: of a workflow it begins with ``workflow:``."""
        return workflow_operation_id(self.id) if self.is_workflow else self.id

    def watch(self, url: str | None = None) -> Watch:
        """Watch it to its end, with its token: :func:`celery_wsprogress.watch`.

        Args:
            url: The URL of the sidecar; by default that in ``WSPROGRESS_WS_URL``, else
                ``ws://localhost:8765``.
        """
        # A web application that only starts tasks loads no websockets.
        from celery_wsprogress.client.watch import Watch  # noqa: PLC0415

        return Watch(self, url)


def start(
    signature: Any,
    *,
    expires_in: float | None = None,
    metadata: Mapping[str, Any] | None = None,
    tags: Iterable[str] = (),
    sub: str | None = None,
    **options: Any,
) -> Started:
    """Send a task or a canvas that is followed, whatever the settings of its tasks are.

    .. code-block:: python

        started = celery_wsprogress.start(chain(fetch.s(url), index.s()))
        return {"id": started.id, "token": started.token}

    Args:
        signature: A signature, a chain, a group, a chord, a task, or the name of a task that this
            process does not know.
        expires_in: Seconds until the token expires; by default 3,600.
        metadata: Data that is shown with the task or the workflow.
        tags: Texts by which it can be selected.
        sub: Whose it is: tokens grant it by ``sub:<name>``.
        options: Arguments of :meth:`celery.canvas.Signature.apply_async`: ``args``, ``kwargs``,
            ``queue``, ``countdown`` …

    Raises:
        ConfigurationError: the key is too short, or ``expires_in`` is not above 0 or too long.
            Then nothing is sent.

    What ``apply_async`` raises goes on to the caller.
    """
    seconds = DEFAULT_EXPIRES_IN if expires_in is None else expires_in
    signs = has_key()
    if signs:
        # An error in the arguments comes before anything is sent.
        create_token("-", seconds)
    if isinstance(signature, str):
        signature = celery.signature(signature, app=celery.current_app)
    request = _request(signature.app, metadata, tags, sub)
    token = current_start.set(request)
    try:
        result = signature.apply_async(**options)
    finally:
        current_start.reset(token)
    is_workflow = request is not None and bool(request.workflow_id)
    granted = None
    if signs:
        # The pattern covers the workflow and its tasks.
        patterns = [workflow_operation_id(str(result.id))] if is_workflow else []
        granted = create_token(str(result.id), seconds, ops=patterns)
    return Started(result, is_workflow=is_workflow, token=granted)


def _request(app: Any, metadata: Any, tags: Any, sub: Any) -> StartRequest | None:
    """Return what the messages of the app get; None where it publishes nothing."""
    sending_apps.register_app(app)
    connect()
    if not publishing_of(app).settings.enabled:
        return None
    header = {"metadata": metadata, "tags": tags, "sub": sub}
    return StartRequest({name: value for name, value in header.items() if value})
