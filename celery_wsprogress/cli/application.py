"""Find the Celery application that ``-A`` names, with its settings and its tasks loaded."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from celery_wsprogress.printable import escape_control

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)


def find_application(ctx: click.Context, app_path: str | None, *, tasks: bool = True) -> Any:
    """Find the application of ``-A``, or of `celery -A … wsprogress serve`; None without either.

    Its settings can be read.

    Args:
        ctx: The context of the command.
        app_path: What ``-A`` names.
        tasks: Whether to import the modules of its tasks, too.

    Raises:
        click.BadParameter: there is no application of this name, or its settings cannot be read.
    """
    group_app = getattr(ctx.obj, "app", None)
    if app_path is None:
        if group_app is not None:
            _load(group_app, tasks=tasks)
        return group_app
    from celery import Celery  # noqa: PLC0415 - --broker needs no Celery
    from celery.app.utils import find_app  # noqa: PLC0415

    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as `celery -A` does
    try:
        found = find_app(app_path)
    except (ImportError, AttributeError, ValueError) as exc:
        raise _unusable(app_path, str(exc)) from None
    if not isinstance(found, Celery):
        raise _unusable(app_path, "this is not a Celery application")
    _load(found, tasks=tasks)
    return found


def import_tasks(app: Any) -> None:
    """Import the modules of the tasks, as Celery's worker does.

    Importing them sets Django up, which a result backend in Django's database needs (Celery 5.5,
    celery/fixups/django.py). The tasks themselves are not needed, so a failed import is a warning.
    """
    with _silent_signals():
        try:
            app.loader.import_default_modules()
        except Exception as exc:  # noqa: BLE001 - user code may raise anything
            text = (
                "The tasks of the application cannot be imported (%s); "
                "events are served all the same"
            )
            logger.warning(text, _one_line(exc))


def _load(app: Any, *, tasks: bool) -> None:
    """Read the settings and maybe import the modules of the tasks.

    Raises:
        click.BadParameter: the settings cannot be read.
    """
    with _silent_signals():
        try:
            app.conf.get("broker_url")
        except Exception as exc:  # noqa: BLE001 - as above
            reason = f"its settings cannot be read ({_one_line(exc)})"
            raise _unusable(str(app.main or app), reason) from None
    if tasks:
        import_tasks(app)


@contextlib.contextmanager
def _silent_signals() -> Iterator[None]:
    """Keep Celery from logging the traceback of an exception that it raises as well."""
    signals = logging.getLogger("celery.utils.dispatch.signal")
    level = signals.level
    signals.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        signals.setLevel(level)


def _one_line(exc: Exception) -> str:
    return escape_control(f"{type(exc).__name__}: {exc}", 300)


def _unusable(app_path: str, reason: str) -> click.BadParameter:
    text = f"cannot load the Celery application {app_path!r}: {reason}"
    return click.BadParameter(text, param_hint="-A")
