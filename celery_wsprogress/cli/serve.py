"""``serve``: options, environment and configuration in; a running sidecar out."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

import click

from celery_wsprogress.errors import ConfigurationError
from celery_wsprogress.settings import (
    ServeSettings,
    from_conf,
    from_environ,
    masked,
    websocket_enabled,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from celery_wsprogress.brokers import BrokerAddress
    from celery_wsprogress.sidecar.server import Sidecar

LEVELS: Final = ("debug", "info", "warning", "error")

EPILOG: Final = """\
Every option can also be set in the environment (WSPROGRESS_PORT, WSPROGRESS_HOST, …) and, with
-A, in Celery's configuration (wsprogress_port, …); the command line wins. The key that signs
tokens is taken from WSPROGRESS_KEY or wsprogress_key only, never from the command line.
WEBSOCKET_PORT is honoured too, and ENABLE_WEBSOCKET=false makes this command do nothing.
"""


@click.command(epilog=EPILOG)
@click.option(
    "-A",
    "--app",
    "app_path",
    envvar="WSPROGRESS_APP",
    metavar="APP",
    help="Celery application, as for `celery -A`.",
)
@click.option(
    "--broker",
    envvar="WSPROGRESS_BROKER",
    metavar="URL",
    help="Broker of the events, instead of that of the application.",
)
@click.option(
    "--result-backend",
    metavar="URL",
    help="Celery's result backend, asked how silent runs ended, instead of that of the "
    "application.",
)
@click.option(
    "--host",
    help="Host name or address to listen on.  [default: localhost, both loopback addresses]",
)
@click.option("--port", help="Port to listen on; 0 is any free one.  [default: 8765]")
@click.option(
    "--origin",
    "origins",
    multiple=True,
    metavar="ORIGIN",
    help="Let pages of this origin (https://example.org) connect. Repeatable; loopback pages may.",
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A host name this server goes by. Repeatable; addresses and loopback names always are.",
)
@click.option(
    "--insecure",
    is_flag=True,
    default=None,
    help="Serve a public address without a key: whoever reaches it may watch everything.",
)
@click.option(
    "--exact-only",
    is_flag=True,
    default=None,
    help="Without a key, let clients watch by exact id only, also on a public address.",
)
@click.option(
    "--monitor-unsubscribed",
    is_flag=True,
    default=None,
    help="Send every event to connections that send no command within a second.",
)
@click.option(
    "--max-rate",
    metavar="NUMBER",
    help="Progress of one operation that clients get in a second, at the most.  [default: 20]",
)
@click.option(
    "--heartbeat", metavar="SECONDS", help="Time between pings, and to answer one.  [default: 20]"
)
@click.option(
    "--max-subscriptions",
    metavar="N",
    help="Operations one connection may watch by id.  [default: 10000]",
)
@click.option(
    "--max-finished", metavar="N", help="Finished operations that are held.  [default: 1000]"
)
@click.option(
    "--max-waiting",
    metavar="N",
    help="Operations that are held though no worker has started them.  [default: 100000]",
)
@click.option(
    "--max-age",
    metavar="SECONDS",
    help="How long an operation is held after its last event.  [default: 86400]",
)
@click.option(
    "--max-history-bytes",
    metavar="BYTES",
    help="What all histories together may take.  [default: 256000000]",
)
@click.option(
    "--lost-after",
    metavar="SECONDS",
    help="Silence after which a run is given up as lost.  [default: 60]",
)
@click.option(
    "--answer-unknown",
    is_flag=True,
    default=None,
    help="Ask the result backend about ids nobody has heard of; their results are shown.",
)
@click.option(
    "--drain",
    metavar="SECONDS",
    help="Time over which many connections are closed when it stops.  [default: 5]",
)
@click.option(
    "--log-level",
    envvar="WSPROGRESS_LOG_LEVEL",
    type=click.Choice(LEVELS, case_sensitive=False),
    default="info",
    show_default=True,
)
@click.pass_context
def serve(
    ctx: click.Context, /, app_path: str | None, broker: str | None, log_level: str, **options: Any
) -> None:
    """Push progress over WebSocket to whoever watches.

    Start it next to your workers and Flower:

        celery-wsprogress serve -A proj
    """
    logging.basicConfig(
        level=log_level.upper(), format="%(asctime)s %(levelname)-7s %(message)s", stream=sys.stderr
    )
    try:
        if not websocket_enabled(os.environ):
            click.echo("ENABLE_WEBSOCKET is false: not serving")
            return
        sidecar, address = configure(ctx, app_path, broker, options)
    except ConfigurationError as exc:
        raise click.UsageError(str(exc)) from None
    run(_serve(sidecar, address))


def configure(
    ctx: click.Context, app_path: str | None, broker: str | None, options: dict[str, Any]
) -> tuple[Sidecar, BrokerAddress]:
    """Put the settings together, find out where the events are, and make a sidecar of that.

    Raises:
        ConfigurationError: a setting has a value it cannot have, or no broker is named.
    """
    from celery_wsprogress.brokers import BrokerAddress, prepare  # noqa: PLC0415 - see the package
    from celery_wsprogress.brokers.address import address_of  # noqa: PLC0415
    from celery_wsprogress.sidecar.backend import find_backend  # noqa: PLC0415
    from celery_wsprogress.sidecar.server import Sidecar  # noqa: PLC0415

    app = _application(ctx, app_path)
    conf = from_conf(app.conf, ServeSettings) if app else {}
    given = {name: value for name, value in options.items() if value not in (None, ())}
    settings = ServeSettings.load(conf, from_environ(os.environ, ServeSettings), given)
    url = broker or settings.url
    if app is None and url is None:
        raise click.UsageError("Name the application with -A, or the broker with --broker")
    address = BrokerAddress(str(url)) if app is None else address_of(app, url)
    prepare(address)
    write_address = address if app is None else address_of(app, url, write=True)
    backend = find_backend(app, settings.result_backend)
    return Sidecar(settings, address, write_address=write_address, backend=backend), address


def _application(ctx: click.Context, app_path: str | None) -> Any:
    """The Celery application: named here, or by `celery -A … wsprogress serve`; else None."""
    outer = getattr(ctx.obj, "app", None)
    if app_path is None:
        return outer
    from celery import Celery  # noqa: PLC0415 - --broker needs no Celery
    from celery.app.utils import find_app  # noqa: PLC0415

    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - as `celery -A` does
    try:
        found = find_app(app_path)
    except (ImportError, AttributeError, ValueError) as exc:
        raise _no_application(app_path, str(exc)) from None
    if not isinstance(found, Celery):
        raise _no_application(app_path, "this is no Celery application")
    return found


def _no_application(app_path: str, why: str) -> click.BadParameter:
    text = f"cannot load the Celery application {app_path!r}: {why}"
    return click.BadParameter(text, param_hint="-A")


async def _serve(sidecar: Sidecar, address: BrokerAddress) -> None:
    """Serve until SIGTERM or Ctrl-C. While it stops, another of them ends it at once."""
    stop = _stop_signal()
    try:
        await sidecar.start()
    except OSError as exc:
        raise click.ClickException(_why_not_listening(sidecar.settings, exc)) from None
    _announce(sidecar, address)
    await stop.wait()
    click.echo("Stopping")
    await sidecar.stop()


def _stop_signal() -> asyncio.Event:
    """What is set by the first SIGTERM or Ctrl-C; the next one does what it does by default."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT)

    def begin() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        stop.set()

    for number in numbers:
        loop.add_signal_handler(number, begin)
    return stop


def _announce(sidecar: Sidecar, address: BrokerAddress) -> None:
    click.echo(f"WebSocket server started on ws://{sidecar.place}")
    click.echo(f"Broker: {masked(address.url)}")
    click.echo(f"Status: curl http://{sidecar.place}/status")


def _why_not_listening(settings: ServeSettings, exc: OSError) -> str:
    if exc.errno == errno.EADDRINUSE:
        return f"Port {settings.port} on {settings.host} is in use; choose another one with --port"
    if exc.errno in {errno.EACCES, errno.EPERM}:
        return f"Port {settings.port} needs privileges; choose one above 1023 with --port"
    return f"Cannot listen on {settings.host}, port {settings.port}: {exc.strerror or exc}"


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where it is installed (the extra ``speed``), else on asyncio."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - optional
    except ImportError:
        return None
    return uvloop.new_event_loop
