"""Warnings at the start of ``serve``: unknown settings, and settings that contradict each other."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from celery_wsprogress import misnomers
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.settings import WorkerSettings

if TYPE_CHECKING:
    from celery_wsprogress.settings import ServeSettings

logger = logging.getLogger(__name__)


def log_advice(app: Any, settings: ServeSettings) -> None:
    """Log a warning for each problem of the configuration.

    Args:
        app: The Celery application; None where there is none.
        settings: The settings of the sidecar.
    """
    for sentence in advice_for(app, settings):
        logger.warning("%s", sentence)


def advice_for(app: Any, settings: ServeSettings) -> list[str]:
    """Return a sentence for each problem of the configuration.

    Args:
        app: The Celery application; None where there is none.
        settings: The settings of the sidecar.
    """
    found = [*(misnomers.in_conf(app.conf) if app else ()), *misnomers.in_environment(os.environ)]
    try:
        interval = WorkerSettings.read(app, os.environ).sign_interval
    except ConfigurationError as exc:
        found.append(f"The workers will publish nothing: {exc}")
        interval = WorkerSettings().sign_interval
    if settings.lost_after < 3 * interval:
        found.append(
            f"wsprogress_lost_after is {settings.lost_after:g}, but must be at least three times "
            f"the wsprogress_sign_interval of the workers ({interval:g}): a run is lost after "
            "three missing signs"
        )
    if settings.needs_tokens and (settings.insecure or settings.exact_only):
        name = "insecure" if settings.insecure else "exact_only"
        found.append(f"wsprogress_{name} changes nothing, because a key is set")
    return found
