"""``manage.py wsprogress …``: the command line, with the project's application and address."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import click
from celery import current_app
from django.core.management.base import BaseCommand

from celery_wsprogress.cli import wsprogress
from celery_wsprogress.contrib.django.conf import given_url


class Command(BaseCommand):
    """Runs ``celery-wsprogress`` for the application of the project, without ``-A``."""

    help = "Runs celery-wsprogress with the project's settings: serve, watch, monitor, token …"

    def run_from_argv(self, argv: list[str]) -> None:
        """Run what follows the name of the command; ``--help`` is that of the command line."""
        # Django has read these two already (django/core/management/__init__.py).
        read = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        read.add_argument("--settings")
        read.add_argument("--pythonpath")
        _, arguments = read.parse_known_args(argv[2:])
        self._run(arguments, f"{argv[0]} {argv[1]}")

    def add_arguments(self, parser: Any) -> None:
        """Take everything, for ``call_command``."""
        parser.add_argument("arguments", nargs=argparse.REMAINDER)

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it for ``call_command("wsprogress", "token", …)``."""
        self._run([*args, *options["arguments"]], "manage.py wsprogress")

    def _run(self, arguments: list[str], name: str) -> None:
        wsprogress.main(
            args=arguments,
            prog_name=name,
            obj=SimpleNamespace(app=current_app._get_current_object()),  # noqa: SLF001 - Celery documents no other way
            default_map=_defaults(),
        )


def _defaults() -> dict[str, dict[str, str]]:
    """Return the address of the sidecar for the commands that connect to it."""
    url = given_url()
    # A path on the page's own host says nothing here.
    if url is None or not urlsplit(url).netloc:
        return {}
    return {name: {"url": url} for name in wsprogress.list_commands(click.Context(wsprogress))}
