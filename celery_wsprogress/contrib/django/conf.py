"""What is read from Django's settings.

The settings of the package, by the names that they have in the environment (``WSPROGRESS_KEY``),
are passed on to Celery's configuration. The others are of this app alone. They are read when they
are needed, so that Django's ``override_settings`` works.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.utils.module_loading import import_string

from celery_wsprogress.access.issue import DEFAULT_EXPIRES_IN
from celery_wsprogress.misnomers import DJANGO_SETTINGS
from celery_wsprogress.setting_sources import CONF_PREFIX, ENVIRONMENT_PREFIX
from celery_wsprogress.settings import ServeSettings, WorkerSettings
from celery_wsprogress.urls import DEFAULT_URL, URL_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN_PERMIT: Final = "WSPROGRESS_TOKEN_PERMIT"  # noqa: S105 - the name of a setting
TOKEN_SECONDS: Final = "WSPROGRESS_TOKEN_SECONDS"  # noqa: S105 - as above

#: The settings that only this app has.
OWN: Final = frozenset(ENVIRONMENT_PREFIX + name.upper() for name in DJANGO_SETTINGS)

_DEFAULT_PERMIT: Final = "celery_wsprogress.contrib.django.views.permit_staff"
_PASSED_ON: Final = {
    ENVIRONMENT_PREFIX + field.name.upper(): CONF_PREFIX + field.name
    for side in (WorkerSettings, ServeSettings)
    for field in dataclasses.fields(side)
}


def celery_defaults() -> dict[str, Any]:
    """Return the settings of the package that stand in Django's, as Celery names them."""
    found = {name: getattr(settings, django, None) for django, name in _PASSED_ON.items()}
    return {name: value for name, value in found.items() if value not in (None, "")}


def unknown_names() -> list[str]:
    """Return the names in Django's settings that begin like a setting and are none."""
    known = {*_PASSED_ON, *OWN}
    names = (name for name in dir(settings) if name.startswith(ENVIRONMENT_PREFIX))
    return sorted(name for name in names if name not in known)


def given_url() -> str | None:
    """Return the address of the sidecar for browsers, if one is set."""
    return getattr(settings, URL_VARIABLE, None) or os.environ.get(URL_VARIABLE) or None


def sidecar_url() -> str:
    """Return the address of the sidecar for browsers."""
    return given_url() or DEFAULT_URL


def token_seconds() -> float:
    """Return the seconds until a token expires."""
    seconds: float = getattr(settings, TOKEN_SECONDS, DEFAULT_EXPIRES_IN)
    return seconds


def token_permit() -> Callable[[Any, str], bool]:
    """Return the function that decides who gets a token for an operation.

    Raises:
        ImportError: there is none of this name.
    """
    named = getattr(settings, TOKEN_PERMIT, None) or _DEFAULT_PERMIT
    function: Callable[[Any, str], bool] = named if callable(named) else import_string(named)
    return function


def holder(user: Any) -> str | None:
    """Return a user as the ``sub`` of tokens; None for one who is not logged in."""
    return f"user-{user.pk}" if getattr(user, "is_authenticated", False) else None
