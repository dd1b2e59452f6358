"""The exception that ends a task because it was cancelled."""

from __future__ import annotations

from celery.exceptions import Ignore


class TaskCancelled(Ignore):
    """The task was cancelled while it ran, and ends itself.

    ``raise_if_cancelled()`` raises it; the argument is the reason, maybe an empty text. A task that
    lets it pass ends as ``cancelled`` for its watchers and as ``REVOKED`` in the result backend,
    its chain does not go on, and its chord fails, as with Celery's own ``revoke()``. Celery neither
    retries nor logs it as an error, since it is an ``Ignore``.
    """
