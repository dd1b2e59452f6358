"""The system checks: what ``manage.py check`` says of the settings. Connects to nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from celery import current_app
from django.conf import settings
from django.core.checks import Error, Warning, register  # noqa: A004 - Django's own name

from celery_wsprogress.access.issue import MAX_EXPIRES_IN
from celery_wsprogress.contrib.django.conf import (
    TOKEN_PERMIT,
    TOKEN_SECONDS,
    given_url,
    token_permit,
    token_seconds,
    unknown_names,
)
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.settings import ServeSettings, WorkerSettings
from celery_wsprogress.urls import URL_VARIABLE, is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

TAG: Final = "wsprogress"
_DEFAULT_APP: Final = "default"
"""The name of the application that Celery makes where a project has loaded none
(Celery 5.5, celery/_state.py)."""


@register(TAG)
def check_settings(**_: Any) -> list[Any]:
    """Check what holds wherever the project runs."""
    return [*_of_address(), *_of_package(), *_of_tokens(), *_of_celery(), *_of_names()]


@register(TAG, deploy=True)
def check_deployment(**_: Any) -> list[Any]:
    """Check what is right on one's own machine only (``manage.py check --deploy``)."""
    host = urlsplit(given_url() or "").hostname
    serve = _load(ServeSettings)
    if host is None or is_loopback(host) or serve is None or serve.needs_tokens:
        return []
    hint = "Set WSPROGRESS_KEY in the environment of the sidecar and of the web application."
    text = f"The sidecar at {host} has no key, so everyone who reaches it may watch."
    return [Warning(text, hint=hint, id="wsprogress.W005")]


def _of_address() -> Iterator[Any]:
    url = given_url()
    if url is None:
        if not settings.DEBUG:
            hint = f'For instance {URL_VARIABLE} = "wss://example.org/progress".'
            text = f"{URL_VARIABLE} is not set: pages look for the sidecar on localhost."
            yield Warning(text, hint=hint, id="wsprogress.W001")
    elif not _is_address(url):
        text = f"{URL_VARIABLE} is not an address of a sidecar."
        hint = "It begins with ws://, wss:// or, on the page's own host, with /; no password in it."
        yield Error(text, hint=hint, id="wsprogress.E001")


def _is_address(url: Any) -> bool:
    try:
        parts = urlsplit(url)
        if parts.scheme in {"ws", "wss"}:
            return bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
        return not parts.scheme and not parts.netloc and parts.path.startswith("/")
    except (ValueError, AttributeError, TypeError):
        return False


def _of_package() -> Iterator[Any]:
    for side in (ServeSettings, WorkerSettings):
        try:
            side.read(current_app, os.environ)
        except ConfigurationError as exc:
            # A key is not shown in it.
            yield Error(str(exc), id="wsprogress.E002")
            return


def _of_tokens() -> Iterator[Any]:
    try:
        usable = callable(token_permit())
    except (ImportError, ValueError):
        usable = False
    if not usable:
        text = f"{TOKEN_PERMIT} is not the path of a function, such as 'shop.access.may_watch'."
        yield Error(text, id="wsprogress.E003")
    try:
        usable = 0 < token_seconds() <= MAX_EXPIRES_IN
    except TypeError:
        usable = False
    if not usable:
        yield Error(f"{TOKEN_SECONDS} is not a number of seconds above 0.", id="wsprogress.E004")


def _of_celery() -> Iterator[Any]:
    if current_app.main == _DEFAULT_APP:
        hint = "Import it in __init__.py of the project: `from .celery import app`."
        text = "No Celery application is loaded with the project."
        yield Warning(text, hint=hint, id="wsprogress.W002")
    elif not current_app.conf.broker_url:
        hint = "For instance CELERY_BROKER_URL = 'redis://localhost:6379/0'."
        text = "The Celery application names no broker: it uses RabbitMQ on localhost."
        yield Warning(text, hint=hint, id="wsprogress.W003")


def _of_names() -> Iterator[Any]:
    for name in unknown_names():
        text = f"{name} is no setting of celery-wsprogress and changes nothing."
        yield Warning(text, id="wsprogress.W004")


def _load(side: type[ServeSettings]) -> ServeSettings | None:
    """Return the settings of a side; None where they are wrong, which is another check's."""
    try:
        return side.read(current_app, os.environ)
    except ConfigurationError:
        return None
