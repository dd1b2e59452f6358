"""The command ``serve``: load the settings, choose the broker, run a sidecar.

:mod:`.serve_options` has the options, :mod:`.serve_runner` runs the sidecar. The imports of the
broker and the server stand in the functions, so that ``--help`` and wrong options answer fast.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from celery_wsprogress.access.exposure import check_exposure
from celery_wsprogress.cli import serve_runner
from celery_wsprogress.cli.advice import log_advice
from celery_wsprogress.cli.application import find_application
from celery_wsprogress.cli.log_format import formatter
from celery_wsprogress.cli.secret_files import read_url
from celery_wsprogress.cli.serve_config import config_lines, config_text
from celery_wsprogress.cli.serve_options import EPILOG, serve_options
from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.setting_sources import websocket_enabled
from celery_wsprogress.settings import ServeSettings
from celery_wsprogress.urls import masked

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.brokers.control_address import ControlAddress
    from celery_wsprogress.sidecar.liveness.result_lookup import ResultLookup
    from celery_wsprogress.sidecar.multiprocess.supervisor_link import SupervisorLink
    from celery_wsprogress.sidecar.server import Sidecar


@click.command(epilog=EPILOG)
@serve_options
@click.option(
    "--show-config",
    is_flag=True,
    help="Show each setting, its value and where it comes from, without secrets; do not serve.",
)
@click.option("--child-of", type=int, hidden=True, help="Set by the parent process.")
@click.pass_context
def serve(
    ctx: click.Context,
    /,
    app_path: str | None,
    broker: str | None,
    child_of: int | None,
    show_config: bool,
    **options: Any,
) -> None:
    """Serve live progress of Celery tasks over WebSocket.

    Run it next to your workers and Flower:

        celery-wsprogress serve -A proj
    """
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(formatter(options.pop("log_format"), is_child=child_of is not None))
    logging.basicConfig(level=options.pop("log_level").upper(), handlers=[output])
    try:
        if not websocket_enabled(os.environ):
            click.echo("ENABLE_WEBSOCKET is false: not serving")
            return
        setup = configure(ctx, app_path, broker, options)
        if show_config:
            _show_config(setup, options)
            return
        if child_of is not None:
            main = _as_child(setup, child_of)
        elif setup.settings.processes > 1:
            main = _in_processes(setup)
        else:
            main = serve_runner.serve_alone(setup.sidecar(), setup.address)
    except ConfigurationError as exc:
        raise click.UsageError(str(exc)) from None
    serve_runner.run(main)


class Setup(NamedTuple):
    """The arguments of a :class:`.Sidecar`, and the application that they come from."""

    app: Any
    settings: ServeSettings
    address: BrokerAddress
    write_address: BrokerAddress
    backend: ResultLookup | None
    control: ControlAddress | None

    def sidecar(self, link: SupervisorLink | None = None) -> Sidecar:
        """Create the sidecar.

        Raises:
            ConfigurationError: the settings serve a public address that needs a key.
        """
        from celery_wsprogress.sidecar.server import Sidecar  # noqa: PLC0415 - see the module

        return Sidecar(
            self.settings,
            self.address,
            write_address=self.write_address,
            backend=self.backend,
            control=self.control,
            link=link,
        )


def configure(
    ctx: click.Context, app_path: str | None, broker: str | None, options: dict[str, Any]
) -> Setup:
    """Load the settings and choose the broker.

    Raises:
        ConfigurationError: a setting has a bad value.
        click.UsageError: neither an application nor a broker is named.
    """
    from celery_wsprogress.brokers import prepare  # noqa: PLC0415 - see the module
    from celery_wsprogress.brokers.control_address import ControlAddress  # noqa: PLC0415
    from celery_wsprogress.brokers.discovery import (  # noqa: PLC0415
        choose_broker,
    )
    from celery_wsprogress.brokers.transports import is_in_one_process  # noqa: PLC0415
    from celery_wsprogress.sidecar.liveness.result_lookup import find_backend  # noqa: PLC0415

    app = find_application(ctx, app_path)
    settings = ServeSettings.read(app, os.environ, _given(options))
    if ctx.params.get("child_of") is None:
        # Only once: child processes load the same settings.
        log_advice(app, settings)
    if broker is None and settings.url_file is not None:
        broker = read_url("wsprogress_url_file", settings.url_file)
    addresses = choose_broker(app, settings, broker)
    if addresses is None:
        raise click.UsageError(
            "Name the application with -A, or the broker with --broker or --broker-file"
        )
    prepare(addresses.read)
    if is_in_one_process(addresses.read.url):
        raise ConfigurationError(
            "broker URL",
            masked(addresses.read.url),
            "a broker that other processes can reach: this one works within one process only, "
            "where you can use start_websocket_background()",
        )
    backend = find_backend(app, _backend_url(settings))
    control = None if app is None else ControlAddress.of_app(app)
    return Setup(app, settings, *addresses, backend, control)


def _show_config(setup: Setup, options: dict[str, Any]) -> None:
    lines = config_lines(setup.settings, setup.app, os.environ, _given(options))
    for one in config_text(lines, setup.address):
        click.echo(one)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given on the command line."""
    return {name: value for name, value in options.items() if value not in (None, ())}


def _backend_url(settings: ServeSettings) -> str | None:
    if settings.result_backend_file is None:
        return settings.result_backend
    return read_url("wsprogress_result_backend_file", settings.result_backend_file)


def _as_child(setup: Setup, child_of: int) -> Coroutine[Any, Any, None]:
    from celery_wsprogress.sidecar.multiprocess.supervisor_link import SupervisorLink  # noqa: PLC0415 - see the module

    link = SupervisorLink(child_of)
    return serve_runner.serve_as_worker(setup.sidecar(link), link)


def _in_processes(setup: Setup) -> Coroutine[Any, Any, None]:
    from celery_wsprogress.brokers import lacks_fanout  # noqa: PLC0415 - see the module
    from celery_wsprogress.sidecar.access.authorizer import Authorizer  # noqa: PLC0415
    from celery_wsprogress.sidecar.systemd import has_sockets  # noqa: PLC0415
    from celery_wsprogress.sidecar.tls.certificate import ServerCertificate  # noqa: PLC0415

    # Here, so that the error is shown once and not by each process.
    check_exposure(setup.settings)
    if setup.settings.unix_socket is not None or has_sockets(os.environ):
        raise ConfigurationError(
            "wsprogress_processes",
            setup.settings.processes,
            "1 with a Unix socket, or with sockets of systemd: they cannot be shared",
        )
    Authorizer(setup.settings)
    ServerCertificate.of(setup.settings)
    if lacks_fanout(setup.address):
        raise ConfigurationError(
            "wsprogress_processes",
            setup.settings.processes,
            "1 on this broker: it has no fanout, so each event would reach only one process",
        )
    return serve_runner.serve_in_processes(setup.settings, setup.address, _this_command())


def _this_command() -> list[str]:
    """Return the command that started this program, to be run from the current directory."""
    arguments = sys.orig_argv[1:]
    for number, one in enumerate(arguments):
        # Celery's option: it has already changed the directory.
        if one == "--workdir":
            arguments[number + 1] = str(Path.cwd())
        elif one.startswith("--workdir="):
            arguments[number] = f"--workdir={Path.cwd()}"
    return [sys.executable, *arguments]
