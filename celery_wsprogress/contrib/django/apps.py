"""The app that stands in ``INSTALLED_APPS``."""

from __future__ import annotations

from typing import Final

from celery import current_app
from django.apps import AppConfig

from celery_wsprogress.contrib.django.conf import celery_defaults


class WSProgressConfig(AppConfig):
    """Passes settings on to Celery, and registers the checks."""

    name: Final = "celery_wsprogress.contrib.django"
    label: Final = "wsprogress"
    verbose_name: Final = "Live progress"

    def ready(self) -> None:
        """Run once the settings and all apps are loaded, in every process of the project."""
        # Registers them.
        from celery_wsprogress.contrib.django import checks  # noqa: F401, PLC0415

        # They come before what `config_from_object` reads (Celery 5.5, celery/app/base.py).
        current_app.add_defaults(celery_defaults)
