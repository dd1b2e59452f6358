"""Check the settings of both sides, as this process reads them. Connects to nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from celery_wsprogress.access.exposure import check_exposure
from celery_wsprogress.cli.advice import advice_for
from celery_wsprogress.cli.checks.findings import failed, ok, warning
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.settings import ServeSettings, WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery_wsprogress.cli.checks.findings import Finding

PART: Final = "configuration"

SMALL_LOG: Final = 10_000_000
"""Bytes. Some 30,000 events: a busy worker writes them within a minute or two."""


def check_configuration(app: Any) -> Iterator[Finding]:
    """Check the settings of workers and sidecar.

    Args:
        app: The Celery application; None where none is named.
    """
    try:
        worker = WorkerSettings.read(app, os.environ)
        serve = ServeSettings.read(app, os.environ)
        check_exposure(serve)
    except ConfigurationError as exc:
        advice = "Correct it in Celery's configuration or the environment"
        yield failed(PART, str(exc), advice)
        return
    found = [warning(PART, sentence) for sentence in advice_for(app, serve)]
    if worker.log_bytes is not None and worker.log_bytes < SMALL_LOG:
        text = f"wsprogress_log_bytes is {worker.log_bytes:,}: the log holds little"
        advice = "A sidecar that starts, or was away, misses what was dropped: unset it"
        found.append(warning(PART, text, advice))
    if not worker.enabled:
        text = "wsprogress_enabled is false: tasks publish nothing"
        yield failed(PART, text, "Set it to true, where the workers have it, too")
    yield from found
    if worker.enabled and not found:
        yield ok(PART, "the settings of workers and sidecar can be used")
