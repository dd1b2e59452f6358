"""The Celery application that ``-A`` names, ready to be asked for its settings and its backend."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import click

from celery_wsprogress.printable import clean

logger = logging.getLogger(__name__)


def find_application(ctx: click.Context, app_path: str | None) -> Any:
    """Find the Celery application: named here, or by `celery -A … wsprogress serve`; else None.

    Its settings can be read then, and what its tasks are in is imported.

    Raises:
        click.BadParameter: there is none of this name, or its settings cannot be read.
    """
    outer = getattr(ctx.obj, "app", None)
    if app_path is None:
        if outer is not None:
            _import_modules(outer)
        return outer
    from celery import Celery  # noqa: PLC0415 - --broker needs no Celery
    from celery.app.utils import find_app  # noqa: PLC0415

    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as `celery -A` does
    try:
        found = find_app(app_path)
    except (ImportError, AttributeError, ValueError) as exc:
        raise _unusable(app_path, str(exc)) from None
    if not isinstance(found, Celery):
        raise _unusable(app_path, "this is no Celery application")
    _import_modules(found)
    return found


def _import_modules(app: Any) -> None:
    """Read the application's settings and import what its tasks are in, as Celery's worker does.

    Celery's fixup for Django sets Django up at that moment, and a result backend in its database
    works only after that (celery/fixups/django.py). Nothing else is wanted of the tasks here, so
    one that cannot be imported is a warning.

    Raises:
        click.BadParameter: the settings cannot be read.
    """
    # It logs the traceback of what it raises as well.
    signals = logging.getLogger("celery.utils.dispatch.signal")
    level = signals.level
    signals.setLevel(logging.CRITICAL + 1)
    try:
        app.conf.get("broker_url")
    except Exception as exc:  # noqa: BLE001 - these are the user's modules
        why = f"its settings cannot be read ({_in_a_line(exc)})"
        raise _unusable(str(app.main or app), why) from None
    try:
        app.loader.import_default_modules()
    except Exception as exc:  # noqa: BLE001 - as above
        text = "The application's tasks cannot be imported (%s); events are served without them"
        logger.warning(text, _in_a_line(exc))
    finally:
        signals.setLevel(level)


def _in_a_line(exc: Exception) -> str:
    return clean(f"{type(exc).__name__}: {exc}", 300)


def _unusable(app_path: str, why: str) -> click.BadParameter:
    text = f"cannot load the Celery application {app_path!r}: {why}"
    return click.BadParameter(text, param_hint="-A")
