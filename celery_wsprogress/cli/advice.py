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
    found = [*(misnomers.in_conf(app.conf) if app else ()), *misnomers.in_environment(os.environ)]
    for sentence in found:
        logger.warning("%s", sentence)
    interval = _sign_interval(app)
    if settings.lost_after < 3 * interval:
        logger.warning(
            "wsprogress_lost_after is %g, but must be at least three times the "
            "wsprogress_sign_interval of the workers (%g): a run is lost "
            "after three missing signs",
            settings.lost_after,
            interval,
        )
    if settings.needs_tokens and (settings.insecure or settings.exact_only):
        name = "insecure" if settings.insecure else "exact_only"
        logger.warning("wsprogress_%s changes nothing, because a key is set", name)


def _sign_interval(app: Any) -> float:
    """Return the workers' ``sign_interval``, if they have the configuration of this process."""
    try:
        return WorkerSettings.read(app, os.environ).sign_interval
    except ConfigurationError as exc:
        logger.warning("The workers will publish nothing: %s", exc)
        return WorkerSettings().sign_interval
