"""``{% load celery_wsprogress %}{% celery_progress result label="Import" %}``."""

from __future__ import annotations

import logging
from typing import Any

from django import template
from django.apps import apps
from django.templatetags.static import static

from celery_wsprogress.contrib.django.conf import holder, sidecar_url, token_seconds
from celery_wsprogress.contrib.html import progress_element
from celery_wsprogress.errors import ConfigurationError

logger = logging.getLogger(__name__)
register = template.Library()

#: The app whose static files the modules are.
_FILES = "celery_wsprogress"


@register.simple_tag(takes_context=True)
def celery_progress(context: Any, result: Any, **options: Any) -> Any:
    """Return the bar of a task or a workflow, with a token for the logged-in user.

    ``options`` are those of :func:`celery_wsprogress.contrib.html.progress_element`. A key that
    cannot be used fails no page: it is logged, and the bar says that it may not be shown.
    """
    request = context.get("request")
    options.setdefault("url", sidecar_url())
    options.setdefault("expires_in", token_seconds())
    options.setdefault("sub", holder(getattr(request, "user", None) or context.get("user")))
    if apps.is_installed(_FILES):
        options.setdefault("module", static("celery_wsprogress/element.js"))
    try:
        return progress_element(result, **options)
    except ConfigurationError as exc:
        logger.error("No token for a page: %s", exc)  # noqa: TRY400 - there is nothing to trace
        return progress_element(result, **{**options, "token": ""})
