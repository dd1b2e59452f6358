"""A process that has not chosen yet where its operations go: this one, made to forget."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from celery_wsprogress.brokers import discovery
from celery_wsprogress.sidecar.embedded import background
from celery_wsprogress.standalone import process_publisher

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


@contextlib.contextmanager
def fresh(patch: pytest.MonkeyPatch, url: str | None = None, app=None) -> Iterator[None]:
    """Run a block in a process that is as good as new, and stop what it starts.

    Args:
        patch: Undone by its owner.
        url: ``WSPROGRESS_URL``.
        app: The only Celery application of the process; there may be many from other tests.
    """
    for module in (discovery, background):
        patch.setattr(module, "find_celery_app", lambda: app)
    patch.setattr(discovery, "_default", None)
    patch.setattr(process_publisher, "_cache", [])
    for name in ("WSPROGRESS_URL", "WSPROGRESS_PORT", "WEBSOCKET_PORT", "ENABLE_WEBSOCKET"):
        patch.delenv(name, raising=False)
    if url:
        patch.setenv("WSPROGRESS_URL", url)
    try:
        yield
    finally:
        background.stop_websocket_background()
        for publisher in process_publisher._cache:
            if publisher is not None:
                publisher.drain(10)
                publisher.close()
